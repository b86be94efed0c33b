"""The environments here and in JAX compute the same: from the same numbers, with the same pairs."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym import AutoLossVectorEnv, GradientTask
from benchmarks.peers.own import TASKS
from benchmarks.peers.protocol import Worker
from studies.markdown import table

RUNS = 4
# Where a parameter is next to 0, the penalty's gradient may have another sign on either side, and
# both then go ways of their own: with 1,088 parameters a run that comes sooner than with 272.
STEPS = {"regression": 50, "classification": 20}
TOLERANCE = 1e-4


def differences(jax: Worker, task: str) -> dict[str, float]:
    """By name of a figure, the largest difference over all runs and steps between here and JAX.

    Each is relative to the larger of 1 and the figure itself. Parameters are those after the last
    step.
    """
    start, expected = _course(task, STEPS[task])
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "start.npz", Path(folder) / "end.npz"
        np.savez(given, **start)
        jax.ask("follow", task=task, start=str(given), end=str(made))
        with np.load(made) as found:
            return {name: _difference(values, found[name]) for name, values in expected.items()}


def check(jax: Worker, tasks: Sequence[str]) -> None:
    """Print the differences of every task.

    Raises:
        ValueError: one of them is too large.
    """
    for task in tasks:
        found = differences(jax, task)
        header = [f"{task}, {RUNS} runs, {STEPS[task]} updates", "largest difference"]
        print(table(header, [[name, f"{value:.1e}"] for name, value in found.items()]))
        worst = max(found, key=found.__getitem__)
        if found[worst] > TOLERANCE:
            raise ValueError(
                f"{task}: {worst} differ by {found[worst]:.1e}, expected at most {TOLERANCE:g}"
            )


def _course(name: str, steps: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers to start from, and what comes of them here, as `jax_side.follow` says it."""
    task = TASKS[name]
    envs = AutoLossVectorEnv(task, RUNS)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(2, size=(RUNS, steps))
    start: dict[str, Any] = {"actions": actions, **_parameters(envs)}
    for part in ("training", "validation"):
        for each, values in envs._batch.runs.state.data[part].items():
            start[f"{part}/{each}"] = values.numpy().copy()

    course: dict[str, list[np.ndarray]] = {}
    for choice in actions.T:
        observations, rewards, _, _, infos = envs.step(choice)
        figures = {
            "losses": infos["losses"],
            "norms": infos["gradient_norms"],
            "validation": infos["validation"],
            "observations": observations,
            "rewards": rewards,
        }
        for figure, values in figures.items():
            course.setdefault(figure, []).append(values)
    expected = {figure: np.stack(values, axis=1) for figure, values in course.items()}
    return start, expected | _parameters(envs)


def _parameters(envs: AutoLossVectorEnv) -> dict[str, np.ndarray]:
    packed = envs._batch.runs.state.parameters
    assert isinstance(envs.task, GradientTask)
    named = envs.task.unpack(packed)["weights"]
    return {f"parameters/{name}": values.numpy().copy() for name, values in named.items()}


def _difference(expected: np.ndarray, found: np.ndarray) -> float:
    return float((np.abs(expected - found) / np.maximum(np.abs(expected), 1)).max())
