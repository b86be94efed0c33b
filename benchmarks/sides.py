"""What takes turns in a measurement of speed, how it is timed, and the table of its ratios."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from stable_baselines3.common.vec_env import DummyVecEnv

from autoloss_gym import AutoLossEnv, AutoLossVectorEnv, Control, Task
from studies.markdown import quartiles, table

Side = Callable[[], int]  # plays one turn and returns the training steps that it made


def single(task: Task, steps: int, device: str = "cpu", compile: bool = False) -> Side:
    """This package's environment of one run, whose pair is drawn at random in each step."""
    env = AutoLossEnv(task, device=device, compile=compile)
    env.reset(seed=0)
    generator = np.random.default_rng(0)

    def play() -> int:
        for _ in range(steps):
            _, _, ended, _, _ = env.step(generator.integers(2))
            if ended:
                env.reset()
        return steps

    return play


def batched(task: Task, num_envs: int, steps: int, device: str, compile: bool = False) -> Side:
    """This package's vector environment; each of its runs makes `steps` updates of random pairs."""
    array = "numpy" if device == "cpu" else "torch"
    envs = AutoLossVectorEnv(task, num_envs, device=device, array=array, compile=compile)
    envs.reset(seed=0)
    generator = torch.Generator(device).manual_seed(0)

    def play() -> int:
        for _ in range(steps):
            actions = torch.randint(2, (num_envs,), generator=generator, device=device)
            envs.step(actions.numpy() if device == "cpu" else actions)
        if device == "cuda":
            torch.cuda.synchronize()
        return steps * num_envs

    return play


def segments(envs: AutoLossVectorEnv, controls: Sequence[Control]) -> Side:
    """This package's vector environment that is told all the controls of a turn in advance."""
    envs.reset(seed=0)

    def play() -> int:
        envs.rollout(controls)
        return len(controls) * envs.num_envs

    return play


def random_pairs(num_envs: int, steps: int, device: str = "cpu") -> list[Control]:
    """Controls of `steps` updates of which each run makes one, of two pairs, at random."""
    generator = np.random.default_rng(0)
    controls = []
    for _ in range(steps):
        choice = generator.integers(2, size=num_envs)
        weights = np.eye(2, dtype=np.float32)[choice]
        step_size = torch.ones(num_envs, dtype=torch.float32, device=device)
        controls.append(Control(torch.from_numpy(weights).to(device), step_size, choice))
    return controls


def stable_baselines3(task: Task, steps: int) -> Side:
    """Stable-Baselines3's vector environment over a single one."""
    envs = DummyVecEnv([lambda: AutoLossEnv(task)])
    envs.reset()
    generator = np.random.default_rng(0)

    def play() -> int:
        for _ in range(steps):
            envs.step(generator.integers(2, size=1))
        return steps

    return play


def measure(
    sides: Mapping[str, Side], turns: int, clock: Callable[[], float] | None = None
) -> dict[str, np.ndarray]:
    """Training steps a second of every side in every turn, (turns,).

    Args:
        sides: what takes turns.
        turns: that are measured.
        clock: seconds, by default of the wall; `time.process_time` counts those of the processor,
            which other programs lengthen less.
    """
    clock = clock or time.perf_counter
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name, play in sides.items():
            started = clock()
            steps = play()
            if turn:  # the first warms up
                rates[name].append(steps / (clock() - started))
    return {name: np.array(values) for name, values in rates.items()}


def report(name: str, rates: dict[str, np.ndarray]) -> str:
    """A Markdown table of the ratios to the first side, taken within each turn."""
    reference = next(iter(rates))
    header = [name, "steps a second", f"ratio to the {reference} [quartiles]"]
    rows = []
    for side, values in rates.items():
        ratio = quartiles(values / rates[reference])
        rows.append([side, f"{np.median(values):,.0f}", ratio])
    return table(header, rows, num_left=len(header))
