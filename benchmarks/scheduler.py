"""CPU time that a scheduler adds to a training step of about 1.4 ms.

python -m benchmarks.scheduler                     # 60 turns
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from agents.command_line import OneLineParser, main
from agents.options import positive
from autoloss_gym import AutoLossVectorEnv, Controller, Schedule, Scheduler
from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.controllers.policies.static import Ratio
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.weightings import SoftAdapt
from benchmarks.rules import STEPS, Trainee, median_with_interval
from studies.markdown import table

LOSSES = ("first", "second")
VALIDATE_EVERY = 10
LONG = 1_000_000  # updates of a run: its end is never reached
PLAN = Schedule(weights=((1.0, 0.1), (1.0, 10.0)), step_size=(2.0, 0.2))


def controllers() -> dict[str, Any]:
    """Of every kind of control, with the sizes that a training has by default."""
    made: dict[str, Any] = {
        "schedule": PLAN,
        "SoftAdapt": SoftAdapt(),
        "order 2:1": Ratio("", (2, 1)),
    }
    made["three decisions"] = _trained("schedule", ("sizes", "sparsity", "best", "shift"))
    made["weights at every step"] = _trained("weights")
    made["a pair at every step"] = _trained("pair")
    made["a pair at every tenth step"] = _trained("pair", repeat=10)
    return made


def _trained(control: str, add: tuple[str, ...] = (), repeat: int = 1) -> Controller:
    """A controller with the weights that a training begins with."""
    task = QuadraticRegression(max_steps=1000, validate_every=10)
    envs = AutoLossVectorEnv(task, control=control, add=add, repeat=repeat)
    shape: Any = envs.single_observation_space.shape
    width = shape[0]
    count = len(LOSSES)
    network: Perceptron | ShiftNetwork = Perceptron(width, count, (32, 32), activation="tanh")
    if control == "schedule":
        network = ShiftNetwork(3, width, count, 32)
    form = {"pair": "logits", "weights": "mean", "schedule": "shift"}[control]
    return Controller(
        label=control,
        seed=0,
        description=envs.description,
        control=control,
        add=add,
        repeat=repeat,
        network=network.requires_grad_(False),
        form=form,  # type: ignore[arg-type]
    )


def scheduled(trainee: Trainee, controller: Any) -> Callable[[list[torch.Tensor]], Any]:
    """What turns the losses of a step into weights, told what a loop tells."""
    parameters = [*trainee.trunk.parameters()]
    scheduler = Scheduler(controller, LOSSES, LONG, validate_every=10, parameters=parameters)
    scheduler.begin([1.0, 1.0], [1.0, 1.0], 1.0)

    def weigh(losses: list[torch.Tensor]) -> torch.Tensor:
        weights = torch.tensor(list(scheduler.weights().values()))
        scheduler.step_size()
        scheduler.record(losses=losses, gradient_norms=[1.0, 2.0])
        if scheduler.steps % VALIDATE_EVERY == 0:
            scheduler.validated(1.0)
        return weights

    return weigh


def measure(turns: int) -> dict[str, np.ndarray]:
    """Milliseconds of CPU time of a step with each, (turns,); the order changes every turn."""
    trainee = Trainee(len(LOSSES))
    ones = [1.0] * len(LOSSES)
    sides: dict[str, Any] = {"weights as numbers": lambda losses: torch.tensor(ones)}
    sides |= {name: scheduled(trainee, each) for name, each in controllers().items()}
    names = list(sides)
    spent: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-2, turns):  # two turns warm up
        for index in range(len(names)):
            name = names[(index + turn) % len(names)]
            started = time.thread_time()
            for _ in range(STEPS):
                trainee.step(sides[name])
            if turn >= 0:
                spent[name].append((time.thread_time() - started) / STEPS * 1e3)
    return {name: np.array(values) for name, values in spent.items()}


def report(spent: dict[str, np.ndarray]) -> str:
    """A Markdown table of what each adds, relative to the plain step of the same turn."""
    plain = next(iter(spent.values()))
    rows = []
    for name, values in spent.items():
        share, low, high = median_with_interval((values / plain - 1) * 100)
        added = np.median(values - plain) * 1e3
        rows.append([name, f"{added:.0f}", f"{share:.1f} % [{low:.1f}, {high:.1f}]"])
    header = ["a scheduler of", "µs added", f"of {np.median(plain):.2f} ms, n = {len(plain)}"]
    return table(header, rows, num_left=1)


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=positive, default=60, help="of each (default: 60)")
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(report(measure(turns)))


if __name__ == "__main__":
    sys.exit(main(run))
