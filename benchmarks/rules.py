"""CPU time that each weighting rule adds to a training step of about 1.4 ms.

python -m benchmarks.rules                     # two and three losses, 150 turns
"""

import argparse
import functools
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.command_line import OneLineParser, main
from agents.options import positive
from autoloss_gym import weightings
from studies.markdown import table

Weigh = Callable[[list[Tensor]], Any]  # the losses of a step → their weights
STEPS = 20  # of a side in a turn


class Trainee:
    """A net with a head for each loss, and the training step of it that is measured."""

    def __init__(self, count: int) -> None:
        width = 224
        self.trunk = nn.Sequential(
            nn.Linear(32, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.heads = nn.ModuleList(nn.Linear(width, 1) for _ in range(count))
        parameters = [*self.trunk.parameters(), *self.heads.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3)
        self.inputs = torch.randn(144, 32)
        self.targets = torch.randn(count, 144, 1)

    def step(self, weigh: Weigh) -> float:
        """One training step; returns its milliseconds of CPU time."""
        started = time.thread_time()
        hidden = self.trunk(self.inputs)
        losses = [
            nn.functional.mse_loss(head(hidden), targets)
            for head, targets in zip(self.heads, self.targets, strict=True)
        ]
        weights = weigh(losses)
        self.optimizer.zero_grad()
        (weights * torch.stack(losses)).sum().backward()
        self.optimizer.step()
        return (time.thread_time() - started) * 1e3


def sides(count: int) -> dict[str, Weigh]:
    """Fixed numbers, which are what the others are compared with, and every rule."""
    ones = torch.ones(count)
    numbers = [1.0, 2.0, 3.0][:count]
    norms = [torch.tensor(number) for number in numbers]
    given: dict[str, dict[str, Any]] = {
        "Fixed": {"weights": numbers},
        "TimeSchedule": {"knots": [1.0, [(0, 0.1), (1000, 2.0), (2000, 1.0)]]},
    }
    made: dict[str, Weigh] = {"no rule": lambda losses: ones}
    for name in weightings.__all__:
        if name == "WeightingRule":
            continue
        rule = getattr(weightings, name)(**given.get(name, {}))
        made[name] = rule.update
        if rule.needs_gradient_norms:  # whatever figures these are
            made[name] = functools.partial(rule.update, gradient_norms=norms)
    return made


def measure(trainee: Trainee, measured: dict[str, Weigh], turns: int) -> dict[str, np.ndarray]:
    """Milliseconds of CPU time of a step with each side, (turns,); the order changes every turn."""
    names = list(measured)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-2, turns):  # two turns warm up
        for index in range(len(names)):
            name = names[(index + turn) % len(names)]
            started = time.thread_time()
            for _ in range(STEPS):
                trainee.step(measured[name])
            if turn >= 0:
                spent[name].append((time.thread_time() - started) / STEPS * 1e3)
    return {name: np.array(values) for name, values in spent.items()}


def median_with_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The median, and its 95 % bootstrap interval over turns."""
    generator = np.random.default_rng(0)
    drawn = generator.choice(values, size=(2_000, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(np.median(values)), float(low), float(high)


def report(title: str, spent: dict[str, np.ndarray]) -> str:
    """A Markdown table of what each adds, relative to the first of the same turn."""
    plain = next(iter(spent.values()))
    rows = []
    for name, values in spent.items():
        share, low, high = median_with_interval((values / plain - 1) * 100)
        added = np.median(values - plain) * 1e3
        rows.append([name, f"{added:.0f}", f"{share:.1f} % [{low:.1f}, {high:.1f}]"])
    header = [title, "µs added", f"of {np.median(plain):.2f} ms, n = {len(plain)}"]
    return table(header, rows, num_left=1)


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=positive, default=150, help="of each (default: 150)")
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for count in (2, 3):
        spent = measure(Trainee(count), sides(count), turns)
        print(report(f"{count} losses", spent), end="\n\n")


if __name__ == "__main__":
    sys.exit(main(run))
