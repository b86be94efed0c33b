"""A small model with two losses, a controller of them, and the loop that one would write."""

import numpy as np
import torch
from torch import nn

from autoloss_gym import AutoLossVectorEnv, Controller
from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression

LOSSES = ("fit", "sparse")
TASK = QuadraticRegression(max_steps=60, validate_every=5)


class Net(nn.Module):
    """Two layers; the losses pull both of them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, 6)
        self.second = nn.Linear(6, 4)

    def forward(self, inputs):
        return self.second(torch.tanh(self.first(inputs)))

    def losses(self, inputs):
        outputs = self(inputs)
        sparse = self.first.weight.abs().mean() + self.second.weight.abs().mean()
        return {"fit": (outputs - inputs).square().mean(), "sparse": sparse + outputs.abs().mean()}

    def parts(self):
        return self.first, self.second


def batches(count: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 8, 4, generator=generator)


def controller(control: str) -> Controller:
    """One with weights of its own, that was trained on one block."""
    envs = AutoLossVectorEnv(TASK, control=control)
    torch.manual_seed(1)
    space = envs.single_action_space
    outputs = int(getattr(space, "n", 0)) or space.shape[0]
    net = Perceptron(
        envs.single_observation_space.shape[0], outputs, (8,), activation="tanh", squash=False
    )
    return Controller(
        label="test",
        seed=3,
        description=envs.description,
        control=control,
        network=net.requires_grad_(False),
        form="logits" if control == "pair" else "mean",
        deviations=None if control == "pair" else torch.full((outputs,), 0.5),
    )


def total(values):
    first, *others = values
    return sum(others, start=first)


def by_hand(net, scheduler, steps, validate_every, accumulate=1, clip=None, optimizers=None):
    """The loop with the scheduler that a user would write; returns the weights of each update."""
    optimizers = optimizers or [torch.optim.Adam(net.parameters(), lr=0.01)]
    data = batches()
    decisions = []
    for step in range(steps):
        weights = scheduler.weights()
        factor = scheduler.step_size()
        decisions.append([weights[name] for name in LOSSES])
        used = [name for name in LOSSES if weights[name]]
        told = dict.fromkeys(used, 0.0)
        norms = dict.fromkeys(used, 0.0)
        optimizer = optimizers[LOSSES.index(used[0]) if len(optimizers) > 1 else 0]
        optimizer.zero_grad()
        for part in range(accumulate):
            losses = net.losses(data[(step * accumulate + part) % len(data)])
            losses = {name: losses[name] for name in used}
            if scheduler.needs_gradient_norms and len(used) > 1:
                for name, norm in scheduler.gradient_norms(losses).items():
                    norms[name] += norm / accumulate
            (total([weights[name] * losses[name] for name in used]) / accumulate).backward()
            told = {name: told[name] + losses[name].detach() for name in used}
        told = {name: float(value) / accumulate for name, value in told.items()}
        if len(used) == 1:
            moved = [each for group in optimizer.param_groups for each in group["params"]]
            scheduler.record(loss=told[used[0]], parameters=moved)
        else:
            scheduler.record(losses=told, gradient_norms=norms)
        if clip:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        rates = [group["lr"] for group in optimizer.param_groups]
        for group in optimizer.param_groups:
            group["lr"] *= factor
        optimizer.step()
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        if (step + 1) % validate_every == 0:
            with torch.no_grad():
                scheduler.validated(float(total(net.losses(data[0]).values())))
    return decisions


def same_parameters(first, second) -> None:
    ours, theirs = first.state_dict(), second.state_dict()
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name].numpy(), theirs[name].numpy(), err_msg=name)
