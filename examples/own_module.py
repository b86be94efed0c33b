"""A physics-informed network of one's own as an environment: an oscillation, from a few readings.

The equation is u″ + damping·u′ + stiffness·u = 0 with u(0) = 1; both factors differ from problem to
problem. Three losses compete: the equation inside, the start, and the readings.
"""

import torch
from torch import nn

from autoloss_gym import Metric, from_module, register_task


def oscillation(generator):
    decay, frequency = torch.rand(2, generator=generator) * torch.tensor([0.3, 2.0])
    decay, frequency = decay + 0.2, frequency + 1
    times = 3 * torch.rand(40, 1, generator=generator)
    truth = torch.exp(-decay * times) * torch.cos(frequency * times)
    noisy = truth + 0.1 * torch.randn(40, 1, generator=generator)
    factors = torch.stack([2 * decay, decay**2 + frequency**2])
    inside = torch.linspace(0, 3, 32)[:, None]
    train = {"inside": inside, "factors": factors, "t": times[:10], "u": noisy[:10]}
    return {
        "train": train,
        "validation": {"t": times[10:20], "u": noisy[10:20]},
        "test": {"t": times[20:], "u": truth[20:]},
    }


# The user's part: a network, its losses, and what is to be made of them.
def network():
    return nn.Sequential(
        nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    )


def equation(model, batch):
    slope = torch.func.grad(lambda t: model(t).sum())
    curvature = torch.func.grad(lambda t: slope(t).sum())
    t, (damping, stiffness) = batch["inside"], batch["factors"].unbind()
    return (curvature(t) + damping * slope(t) + stiffness * model(t)).square().mean()


def start(model, batch):
    return (model(batch["inside"][:1]) - 1).square().sum()


def error(model, part):
    return (model(part["t"]) - part["u"]).square().mean()


def make_task(max_steps=300, **options):
    losses = {"equation": equation, "start": start, "readings": error}
    test = {Metric("test_error", worst=10.0): error}
    data = {"data": oscillation, "validation": error, "test": test}
    return from_module(network, losses, **data, max_steps=max_steps, **options)


register_task("Example/Oscillation-v0", "own_module:make_task", learning_rate=1e-2)
