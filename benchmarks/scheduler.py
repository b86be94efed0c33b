"""CPU time that a scheduler adds to a training step of about 1.4 ms.

python -m benchmarks.scheduler                     # 60 turns
"""

import argparse
import sys
from typing import Any

import torch

from agents.command_line import OneLineParser, main
from agents.options import positive
from autoloss_gym import AutoLossVectorEnv, Controller, Schedule, Scheduler
from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.controllers.policies.static import Ratio
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.weightings import SoftAdapt
from benchmarks.rules import Trainee, Weigh, measure, report

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


def scheduled(trainee: Trainee, controller: Any) -> Weigh:
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


def sides(trainee: Trainee) -> dict[str, Weigh]:
    """Numbers, which are what the others are compared with, and a scheduler of each controller."""
    ones = [1.0] * len(LOSSES)
    made: dict[str, Weigh] = {"weights as numbers": lambda losses: torch.tensor(ones)}
    return made | {name: scheduled(trainee, each) for name, each in controllers().items()}


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=positive, default=60, help="of each (default: 60)")
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    torch.manual_seed(0)
    trainee = Trainee(len(LOSSES))
    print(report("a scheduler of", measure(trainee, sides(trainee), turns)))


if __name__ == "__main__":
    sys.exit(main(run))
