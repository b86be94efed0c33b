"""How many training steps a second: the environments against loops that train one model at a time.

    python benchmarks/throughput.py                       # both tasks, 64 runs
    python benchmarks/throughput.py --num-envs 1 8 64 512 4096
    python benchmarks/throughput.py --device cuda         # on a GPU

All sides do the same: a random choice of the pair, its gradient and norm, an Adam step, a validation as often, and a new
problem when an episode ends. They take turns on one thread; what is printed are medians and quartiles of the ratios within a
turn. Only this package's sides also compute observations and rewards.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from agents.command_line import OneLineParser, main, positive  # noqa: E402
from autoloss_gym import AutoLossEnv, AutoLossVectorEnv  # noqa: E402
from autoloss_gym.names import unknown  # noqa: E402
from autoloss_gym.optimizers import Adam  # noqa: E402
from autoloss_gym.task import Keys  # noqa: E402
from autoloss_gym.tasks.mlp_classification import MLPClassification  # noqa: E402
from autoloss_gym.tasks.quadratic_regression import QuadraticRegression  # noqa: E402

Task = QuadraticRegression | MLPClassification
TASKS: dict[str, Task] = {"regression": QuadraticRegression(), "mlp": MLPClassification()}
Side = Callable[[], int]  # plays two episodes or more and returns the training steps that it made


def batched(task: Task, num_envs: int, device: str) -> Side:
    """This package's vector environment."""
    envs = AutoLossVectorEnv(task, num_envs, device=device, array="numpy" if device == "cpu" else "torch")
    envs.reset(seed=0)
    generator = torch.Generator(device).manual_seed(0)

    def play() -> int:
        for _ in range(2 * task.max_steps):
            actions = torch.randint(2, (num_envs,), generator=generator, device=device)
            envs.step(actions if device != "cpu" else actions.numpy())
        if device == "cuda":
            torch.cuda.synchronize()
        return 2 * task.max_steps * num_envs

    return play


def single(task: Task) -> Side:
    """This package's environment of one run."""
    env = AutoLossEnv(task)
    env.reset(seed=0)
    generator = np.random.default_rng(0)

    def play() -> int:
        steps = 2 * task.max_steps
        for _ in range(steps):
            _, _, ended, _, _ = env.step(generator.integers(2))
            if ended:
                env.reset()
        return steps

    return play


def stable_baselines3(task: Task, processes: int) -> Side:
    """Stable-Baselines3's vector environments over single ones, each in a process or all in this one."""
    makers: list[Callable[[], gymnasium.Env]] = [lambda: AutoLossEnv(task)] * processes
    envs = SubprocVecEnv(makers, start_method="fork") if processes > 1 else DummyVecEnv(makers)
    envs.reset()
    generator = np.random.default_rng(0)
    steps = 2 * task.max_steps

    def play() -> int:
        for _ in range(steps):
            envs.step(generator.integers(2, size=processes))
        return steps * processes

    return play


class Quadratic(nn.Module):
    """The regression's model as one would write it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = nn.Parameter(0.1 * torch.randn(features))
        self.quadratic = nn.Parameter(0.01 * torch.randn(features, features))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.linear + ((inputs @ self.quadratic) * inputs).sum(dim=1) / 10


def perceptron(task: MLPClassification) -> nn.Module:
    """The classifier as one would write it."""
    sizes = task.layer_sizes
    layers: list[nn.Module] = []
    for size, next_size in pairwise(sizes):
        layers += [nn.Linear(size, next_size), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def idiomatic(task: Task, device: str) -> Side:
    """A PyTorch loop: nn.Module, torch.optim.Adam, backward, one model at a time."""
    generator, problem = np.random.default_rng(0), 0
    criterion = nn.functional.mse_loss if isinstance(task, QuadraticRegression) else nn.functional.cross_entropy

    def episode() -> None:
        nonlocal problem
        problem += 1
        data = _problem(task, problem, device)
        model = (Quadratic(task.dimension) if isinstance(task, QuadraticRegression) else perceptron(task)).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=_learning_rate(task))
        for step in range(task.max_steps):
            if generator.integers(2) == 0:
                loss = criterion(model(data["training"]["inputs"]), data["training"]["targets"])
            else:
                loss = task.l1_coefficient * torch.stack([parameter.abs().sum() for parameter in model.parameters()]).sum()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.get_total_norm([parameter.grad for parameter in model.parameters() if parameter.grad is not None]).item()
            optimizer.step()
            if (step + 1) % task.validate_every == 0:
                with torch.no_grad():
                    criterion(model(data["validation"]["inputs"]), data["validation"]["targets"]).item()

    def play() -> int:
        episode()
        episode()
        return 2 * task.max_steps

    return play


def numpy_loop(task: QuadraticRegression) -> Side:
    """The regression by hand in NumPy, float32: gradients and Adam in a few array operations."""
    generator, problem = np.random.default_rng(0), 0
    rate, d = _learning_rate(task), task.dimension

    def episode() -> None:
        nonlocal problem
        problem += 1
        data = {n: {k: v.numpy() for k, v in p.items()} for n, p in _problem(task, problem, "cpu").items()}
        inputs, targets = data["training"]["inputs"], data["training"]["targets"]
        theta = np.concatenate([0.1 * generator.standard_normal(d), 0.01 * generator.standard_normal(d * d)]).astype(np.float32)
        first, second, gradient = np.zeros_like(theta), np.zeros_like(theta), np.zeros_like(theta)
        for step in range(1, task.max_steps + 1):
            if generator.integers(2) == 0:
                error = inputs @ theta[:d] + ((inputs @ theta[d:].reshape(d, d)) * inputs).sum(axis=1) / 10 - targets
                weighted = inputs * (2 / len(targets) * error)[:, None]
                gradient[:d], gradient[d:] = weighted.sum(axis=0), (inputs.T @ weighted).reshape(-1) / 10
            else:
                np.multiply(np.sign(theta), task.l1_coefficient, out=gradient)
            math.sqrt(gradient @ gradient)
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            theta -= rate / (1 - 0.9**step) * first / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            if step % task.validate_every == 0:
                part = data["validation"]
                held = (
                    part["inputs"] @ theta[:d] + ((part["inputs"] @ theta[d:].reshape(d, d)) * part["inputs"]).sum(axis=1) / 10
                )
                ((held - part["targets"]) ** 2).mean()

    def play() -> int:
        episode()
        episode()
        return 2 * task.max_steps

    return play


def _learning_rate(task: Task) -> float:
    assert isinstance(task.optimizer, Adam)
    return task.optimizer.learning_rate


def _problem(task: Task, number: int, device: str) -> dict[str, dict[str, Tensor]]:
    """Training and validation part of one problem, without the dimension of the run."""
    keys = torch.tensor([number], device=device)
    data = task.make_data(Keys(problem=keys, run=keys))
    return {part: {name: values[0] for name, values in data[part].items()} for part in ("training", "validation")}


def sides(name: str, num_envs: list[int], device: str) -> dict[str, Side]:
    """What takes turns; the first is what the others are compared with."""
    task = TASKS[name]
    chosen: dict[str, Side] = {"PyTorch loop, one model at a time": idiomatic(task, device)}
    chosen |= {f"vector environment, {n} runs": batched(task, n, device) for n in num_envs}
    if device == "cpu":
        chosen |= {"NumPy loop": numpy_loop(task)} if isinstance(task, QuadraticRegression) else {}
        chosen |= {"single environment": single(task)}
        chosen |= {"SB3 DummyVecEnv": stable_baselines3(task, 1), "SB3 SubprocVecEnv(2)": stable_baselines3(task, 2)}
    return chosen


def measure(chosen: dict[str, Side], turns: int) -> dict[str, np.ndarray]:
    """Training steps a second of every side in every turn, (turns,)."""
    rates: dict[str, list[float]] = {name: [] for name in chosen}
    for turn in range(turns + 1):
        for name, play in chosen.items():
            started = time.perf_counter()
            steps = play()
            if turn:  # the first warms up
                rates[name].append(steps / (time.perf_counter() - started))
    return {name: np.array(values) for name, values in rates.items()}


def report(name: str, rates: dict[str, np.ndarray]) -> str:
    """A Markdown table of the ratios to the first side."""
    reference = next(iter(rates))
    lines = [f"| {name} | steps a second | ratio to the {reference} [quartiles] |", "| --- | --- | --- |"]
    for side, values in rates.items():
        low, middle, high = np.quantile(values / rates[reference], [0.25, 0.5, 0.75])
        lines.append(f"| {side} | {np.median(values):,.0f} | {middle:.2f} [{low:.2f}, {high:.2f}] |")
    return "\n".join(lines)


def run() -> None:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"{', '.join(TASKS)} (default: all)")
    parser.add_argument("--num-envs", type=positive, nargs="+", default=[64, 512], help="runs in a batch (default: 64 512)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--turns", type=positive, default=5, help="default: 5")
    arguments = parser.parse_args()
    for name in arguments.tasks:
        if name not in TASKS:
            parser.error(unknown("task", name, TASKS))
    torch.set_num_threads(1)
    for name in arguments.tasks or TASKS:
        print(report(name, measure(sides(name, arguments.num_envs, arguments.device), arguments.turns)), flush=True)


if __name__ == "__main__":
    sys.exit(main(run))
