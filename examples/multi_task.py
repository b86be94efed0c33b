"""Eight rules on the two regressions that introduced GradNorm, compared over 20 seeds.

Source: Chen, Badrinarayanan, Lee, Rabinovich: "GradNorm", ICML 2018, Section 4. Task i is to learn
f_i(x) = σ_i tanh((B + ε_i) x), where B is shared, σ = (1, 100), and the elements of B and ε_i are
normal with the variances 10 and 3.5; a network of four layers of rectified units serves both tasks,
each of which has a linear head and the squared error as its loss. The score is the sum of both
losses on new points, each divided by its value before training.

Written anew, and smaller: 50 inputs (there 250), 20 outputs (100) and 50 units (100).
"""

import torch
from torch import nn

import autoloss_gym
from autoloss_gym.weightings import GradNorm

INPUTS, OUTPUTS, UNITS, STEPS = 50, 20, 50, 1000
SCALES = (1.0, 100.0)
RULES = [
    "equal",
    "fixed:100,1",
    "fixed:10000,1",  # by the inverse variance of the targets, where that is known
    "softadapt:normalized",
    "dwa",
    "uncertainty",
    "uncertainty:learning_rate=0.1",
    {"gradnorm": GradNorm(alpha=0.12)},
]


class TwoTasks(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        for width in (INPUTS, UNITS, UNITS, UNITS):
            layers += [nn.Linear(width, UNITS), nn.ReLU()]
        self.shared = nn.Sequential(*layers)
        self.heads = nn.ModuleList([nn.Linear(UNITS, OUTPUTS) for _ in SCALES])


def train(rule, seed):
    common = 10**0.5 * torch.randn(INPUTS, OUTPUTS)
    maps = [common + 3.5**0.5 * torch.randn(INPUTS, OUTPUTS) for _ in SCALES]
    model = TwoTasks()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def measure(count):
        inputs = torch.randn(count, INPUTS) / INPUTS**0.5
        hidden = model.shared(inputs)
        losses = []
        for head, scale, each in zip(model.heads, SCALES, maps, strict=True):
            losses.append(nn.functional.mse_loss(head(hidden), scale * torch.tanh(inputs @ each)))
        return torch.stack(losses)

    with torch.no_grad():
        before = measure(2000)
    for _ in range(STEPS):
        losses = measure(100)
        norms = None
        if rule.gradient_norms_due:  # GradNorm's, by the last layer that both tasks share
            last = model.shared[-2].weight
            gradients = [torch.autograd.grad(loss, last, retain_graph=True)[0] for loss in losses]
            norms = [gradient.norm() for gradient in gradients]
        weights = rule.update(losses, gradient_norms=norms)
        optimizer.zero_grad()
        (weights * losses).sum().backward()
        optimizer.step()

    with torch.no_grad():
        small, large = measure(2000) / before
    return {"score": small + large, "small task": small, "large task": large}


if __name__ == "__main__":
    result = autoloss_gym.compare(
        train, RULES, seeds=20, output="results/multi_task", num_workers=2
    )
    print(result)
