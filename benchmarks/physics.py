"""Physics-informed networks against a loop over one network, as one writes it in PyTorch.

    python -m benchmarks.physics    # one thread; turns alternate; processor time

A turn makes `--steps` updates of every run with the sum of all losses, and validates as often as
the task does. The loop has a `torch.nn.Sequential`, draws its points by `torch.rand`, takes the
derivatives by `torch.autograd.grad` with `create_graph`, and steps with `torch.optim.Adam`, also
fused. The environment does what the loop does for weights of its own in each run, and besides
measures the gradient of each loss by itself, observes, and pays a reward. Then the derivatives
alone: the gradient of the residual's mean square for 16 networks at once, by the ways that
`physics_derivatives` has.
"""

import argparse
import sys
import time
from itertools import pairwise

import torch
from torch import Tensor, nn

from agents.command_line import OneLineParser, main
from agents.options import positive
from autoloss_gym import AutoLossVectorEnv
from autoloss_gym.core.state import Keys
from autoloss_gym.core.task import Control
from autoloss_gym.tasks.physics.equations.equation import Condition
from autoloss_gym.tasks.physics.pinn import PINN
from benchmarks.physics_derivatives import residual_of, streams, ways
from benchmarks.sides import Side, measure, report


class _Sine(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return torch.sin(values)


ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "sin": _Sine}


def keys(count: int) -> Keys:
    numbers = torch.arange(count, dtype=torch.int64, device="cpu")
    return Keys(problem=numbers, run=numbers + 10_000)


def sequential(task: PINN) -> nn.Sequential:
    """The task's network as a module."""
    sizes = (len(task.physics.low), *task.hidden_sizes, 1)
    parts: list[nn.Module] = []
    for before, after in pairwise(sizes):
        parts += [nn.Linear(before, after), ACTIVATIONS[task.activation]()]
    return nn.Sequential(*parts[:-1])


def mean_square(task: PINN, model: nn.Module, condition: Condition) -> Tensor:
    """A loss of one network, whose condition has one run."""
    points = condition.points[0]
    if condition.coefficients is None:
        return (model(points)[:, 0] - condition.target[0]).square().mean()
    points = points.clone().requires_grad_()
    found = streams(task, model(points)[:, 0], points)
    coefficients = condition.coefficients[0]
    residual = residual_of(task, found, coefficients.unbind(0), condition.target[0])
    return residual.square().mean()


def own_loop(task: PINN, steps: int, fused: bool) -> Side:
    """Trains one network; sources and targets at its points are those of the task."""
    data = task.make_data(keys(1))
    physics = task.physics
    low = torch.tensor(physics.low, dtype=torch.float32, device="cpu")
    high = torch.tensor(physics.high, dtype=torch.float32, device="cpu")
    model = sequential(task)
    rate = task.optimizer.learning_rate
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=fused)

    def batch() -> dict[str, Condition]:
        points = torch.rand(1, task.num_points, len(low)) * (high - low) + low
        drawn = {"residual": physics.residual(data["problem"], points)}
        for name in physics.conditions:
            run = torch.randint(2**62, (1,))
            count = task.num_condition_points
            drawn[name] = physics.condition(name, data["problem"], run, count)
        return {**drawn, "data": data["training"]}

    def play() -> int:
        for step in range(1, steps + 1):
            losses = [mean_square(task, model, each) for each in batch().values()]
            optimizer.zero_grad()
            total = torch.stack([1.0 * loss for loss in losses]).sum()
            total.backward()
            optimizer.step()
            total.item()
            if step % task.validate_every == 0:
                parts = (data["validation"], *data["held_out"].values())
                for part in parts:
                    mean_square(task, model, part).item()
        return steps

    return play


def environment(task: PINN, num_envs: int, steps: int) -> Side:
    """The vector environment, with weights."""
    envs = AutoLossVectorEnv(task, num_envs, control="weights")
    envs.reset(seed=0)
    weights = torch.ones(num_envs, len(task.pairs), dtype=torch.float32, device="cpu")
    control = Control(weights=weights, step_size=weights[:, 0])

    def play() -> int:
        for _ in range(steps):
            envs.step_control(control)
        return steps * num_envs

    return play


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=positive, default=10, help="measured turns (default: 10)")
    parser.add_argument(
        "--steps", type=positive, default=100, help="updates of a run in a turn (default: 100)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for preset in PINN.presets:
        # Scores at the end of a run are no part of a step.
        task = PINN(**{**PINN.presets[preset], "max_steps": 10**6})
        sides = {
            "loop": own_loop(task, arguments.steps, fused=False),
            "loop, fused Adam": own_loop(task, arguments.steps, fused=True),
        }
        for num_envs in (1, 8, 64):
            name = f"environment of {num_envs} run{'s' * (num_envs > 1)}"
            sides[name] = environment(task, num_envs, arguments.steps)
        print(report(preset, measure(sides, arguments.turns, time.process_time)))
        rates = measure(ways(task, keys(16)), arguments.turns, time.process_time)
        print(report(f"{preset}, residual and gradient of 16", rates))


if __name__ == "__main__":
    sys.exit(main(run))
