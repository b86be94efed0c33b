"""This package's sides, and loops without it; `python -m benchmarks.peers.own` is their worker."""

from collections.abc import Callable
from typing import Any

import torch

from autoloss_gym import AutoLossVectorEnv
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from benchmarks.loops import Task, idiomatic, numpy_loop
from benchmarks.peers.protocol import serve
from benchmarks.sides import Side, batched, random_pairs, segments, single, stable_baselines3
from benchmarks.tensor_ppo import on_tensors

TASKS: dict[str, Task] = {
    "regression": QuadraticRegression(),
    "classification": MLPClassification(),
}
LEAN = "PyTorch loop"
# Of one run.
LOOPS = (LEAN, "NumPy loop", "SB3 DummyVecEnv")
SINGLE = "single environment"
# Of many; each of these may be compiled.
BATCHES = ("step by step", "segments")
TRAINING = "PPO on tensors"
COMPILED = ", compiled"
_ROLLOUTS = 10  # of a turn of a training: an episode


def make(name: str, side: str, runs: int, device: str = "cpu") -> Side:
    """A side that plays an episode of each of its runs in a turn.

    Args:
        name: of the task.
        side: one of `LOOPS`, `SINGLE`, `BATCHES` or `TRAINING`; the others than loops perhaps with
            `COMPILED` at their end.
        runs: in the batch; loops have one.
        device: where the tensors are.
    """
    task = TASKS[name]
    kind = side.removesuffix(COMPILED)
    compile = side.endswith(COMPILED)
    steps = task.max_steps
    if kind == "segments":
        array = "numpy" if device == "cpu" else "torch"
        envs = AutoLossVectorEnv(task, runs, device=device, array=array, compile=compile)
        return segments(envs, random_pairs(runs, steps, device))
    makers: dict[str, Callable[[], Side]] = {
        LEAN: lambda: idiomatic(task, device),
        "NumPy loop": lambda: numpy_loop(task),
        "SB3 DummyVecEnv": lambda: stable_baselines3(task, steps),
        SINGLE: lambda: single(task, steps, device, compile),
        "step by step": lambda: batched(task, runs, steps, device, compile),
        TRAINING: lambda: on_tensors(runs, _ROLLOUTS, device=device, compile=compile),
    }
    return makers[kind]()


def state(task: str, runs: int) -> dict[str, Any]:
    """Bytes of what a run holds, its data included."""
    envs = AutoLossVectorEnv(TASKS[task], runs)
    envs.reset(seed=0)
    total = sum(leaf.numel() * leaf.element_size() for leaf in envs.state_dict()["runs"])
    return {"bytes": total / runs}


if __name__ == "__main__":
    torch.set_num_threads(1)
    serve(make, {"state": state})
