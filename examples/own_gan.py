"""An own GAN on a ring of eight Gaussians: its training becomes an environment, and a controller
that was trained there drives a plain PyTorch loop.

    python ../train_agent.py --env own_gan:Example/RingGan-v0
    python own_gan.py runs/group/Example-RingGan-v0_1
"""

import copy
import math
import sys

import torch
from torch import nn
from torch.nn.functional import softplus

from autoloss_gym import (
    AutoLossVectorEnv,
    Controller,
    Schedule,
    Scheduler,
    from_module,
    register_task,
)
from autoloss_gym.controllers.policies.static import Ratio


class Gan(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)
        )
        self.discriminator = nn.Sequential(
            nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1)
        )


def generator_loss(model, batch):
    fake = model.generator(torch.randn_like(batch["real"]))
    return softplus(-model.discriminator(fake)).mean()


def discriminator_loss(model, batch):
    fake = model.generator(torch.randn_like(batch["real"]))
    real = model.discriminator(batch["real"])
    return softplus(-real).mean() + softplus(model.discriminator(fake)).mean()


def distance(model, part):
    """Sliced Wasserstein distance of samples, from noise that is fixed, to held-out points."""
    angles = torch.linspace(0, math.pi, 17, device=part["real"].device)[:16]
    directions = torch.stack([angles.cos(), angles.sin()])
    fake = (model.generator(part["noise"]) @ directions).sort(dim=0).values
    real = (part["real"] @ directions).sort(dim=0).values
    return (fake - real).abs().mean()


def ring(rows, seed):
    """Points on the ring, and as much noise to make samples of."""
    generator = torch.Generator().manual_seed(seed)
    angles = torch.randint(8, (rows,), generator=generator) * (math.pi / 4)
    centres = 2 * torch.stack([angles.cos(), angles.sin()], dim=1)
    real = centres + 0.1 * torch.randn(rows, 2, generator=generator)
    return {"real": real, "noise": torch.randn(rows, 2, generator=generator)}


LOSSES = {"generator": generator_loss, "discriminator": discriminator_loss}
DATA = {"train": ring(2048, 0), "validation": ring(256, 1), "test": ring(2048, 2)}
LEARNING_RATE, BETAS, BATCH_SIZE = 5e-3, (0.5, 0.9), 64
ORDERS = ((1, 1), (1, 2), (1, 3), (1, 5), (2, 1), (3, 1))  # generator : discriminator


def ring_gan(**options):
    """The training of `Gan` as a task."""
    usual = {"max_steps": 400, "validate_every": 20, "batch_size": BATCH_SIZE}
    return from_module(
        Gan,
        LOSSES,
        pairs={name: name for name in LOSSES},
        validation=distance,
        data=DATA,
        learning_rate=LEARNING_RATE,
        optimizer_arguments={"betas": BETAS},
        **(usual | options),
    )


register_task("Example/RingGan-v0", "own_gan:ring_gan")


def train(rule, seed, max_steps=400):
    """A plain loop that a rule steers.

    Returns:
        The model that validated best, its distance to the test points, and of every step whether it
        trained the discriminator and the factor on the learning rate.
    """
    torch.manual_seed(seed)
    model = Gan()
    parts = {name: getattr(model, name) for name in LOSSES}
    optimizers = {
        name: torch.optim.Adam(part.parameters(), lr=LEARNING_RATE, betas=BETAS)
        for name, part in parts.items()
    }
    drawn = isinstance(rule, Schedule)  # its weights are then probabilities of the losses
    scheduler = Scheduler(rule, tuple(LOSSES), max_steps, parameters=parts, draw=drawn, seed=seed)
    best, kept, followed = math.inf, None, []
    for step in range(max_steps):
        name, size = scheduler.choose(), scheduler.step_size()
        rows = torch.randint(len(DATA["train"]["real"]), (BATCH_SIZE,))
        loss = LOSSES[name](model, {"real": DATA["train"]["real"][rows]})
        optimizers[name].zero_grad()
        loss.backward()
        optimizers[name].param_groups[0]["lr"] = LEARNING_RATE * size
        optimizers[name].step()
        scheduler.record(loss)
        followed.append((float(name == "discriminator"), size))
        if (step + 1) % (max_steps // 20) == 0:  # as often in a run as in those of the training
            with torch.no_grad():
                found = float(distance(model, DATA["validation"]))
            scheduler.validated(found)
            if found < best:
                best, kept = found, copy.deepcopy(model)
    with torch.no_grad():
        return kept, float(distance(kept, DATA["test"])), followed


def best_order(runs):
    """The order with the best mean validation, each in a batch of runs / len(ORDERS) runs."""
    found = {}
    for order in ORDERS:
        envs = AutoLossVectorEnv(ring_gan(), num_envs=max(1, runs // len(ORDERS)), split="train")
        envs.reset(seed=0)
        turns = [pair for pair, count in enumerate(order) for _ in range(count)]
        for step in range(envs.task.max_steps):
            infos = envs.step([turns[step % len(turns)]] * envs.num_envs)[-1]
        found[order] = float(infos["final_info"]["best_validation"].mean())
    print("validation of orders:", {f"{k}:{n}": round(x, 3) for (k, n), x in found.items()})
    return min(found, key=found.get)


def compare(rules, seeds, max_steps):
    """Train all with the same seeds; print means and paired differences; return the runs."""
    runs = {name: [train(rule, seed, max_steps) for seed in seeds] for name, rule in rules.items()}
    scores = {name: torch.tensor([run[1] for run in of_rule]) for name, of_rule in runs.items()}
    drawn = torch.randint(len(seeds), (10_000, len(seeds)), generator=torch.Generator())
    print(f"{max_steps} steps, {len(seeds)} seeds: mean distance, difference of it to controller")
    for name, values in scores.items():
        apart = values - scores["controller"]
        low, high = apart[drawn].mean(dim=1).quantile(torch.tensor([0.025, 0.975])).tolist()
        interval = f"  {apart.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
        print(f"    {name:12} {values.mean():.3f}{'' if name == 'controller' else interval}")
    return runs


def draw(runs, path):
    """Samples of the run in the middle of each rule, and the mean schedule of the controller."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(runs) + 1, figsize=(3 * len(runs) + 4, 3))
    for axis, (name, of_rule) in zip(axes, runs.items(), strict=False):
        model, score, _ = sorted(of_rule, key=lambda run: run[1])[len(of_rule) // 2]
        with torch.no_grad():
            samples = model.generator(DATA["test"]["noise"][:500])
        axis.scatter(*DATA["test"]["real"][:500].T, s=2, color="lightgrey")
        axis.scatter(*samples.T, s=2)
        axis.set(title=f"{name}: {score:.2f}", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    followed = torch.tensor([run[2] for run in runs["controller"]]).mean(dim=0)
    followed = followed.unfold(0, 20, 1).mean(dim=2)
    for column, label in enumerate(("share of discriminator steps", "step size")):
        axes[-1].plot(followed[:, column], label=label)
    axes[-1].set(title="what the controller did", xlabel="step", ylim=(0, None))
    axes[-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=70)


def main(folder, picture="own_gan.png"):
    torch.set_num_threads(1)
    controller = Controller.load(folder)
    print(f"{controller.label} after {controller.training_runs} training runs")
    order = best_order(controller.training_runs)
    rules = {"controller": controller, "1:1": Ratio("1:1", (1, 1))}
    rules["{}:{}".format(*order)] = Ratio("best order", order)
    if controller.control == "schedule":  # the one that its training searched before it began
        rules["its base"] = controller.action_control.base
    compare(rules, range(1000, 1020), 800)
    draw(compare(rules, range(1000, 1020), 400), picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
