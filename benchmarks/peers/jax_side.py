"""Worker with the sides in JAX; its interpreter needs JAX alone.

Every side plays whole episodes: a new problem for each run, a random choice of the loss in every
step, and the scores at the end.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax, random

from benchmarks.peers import jax_training as training
from benchmarks.peers.jax_tasks import Classification, Regression
from benchmarks.peers.protocol import serve

TASKS: dict[str, Any] = {"regression": Regression(), "classification": Classification()}
_AT_ONCE = 64  # runs of a block


class Programs:
    """The functions of one run compiled for many, once for each number of these."""

    def __init__(self, task: Any) -> None:
        self.reset = jax.jit(jax.vmap(functools.partial(training.reset, task)))
        self.start = jax.jit(jax.vmap(functools.partial(training.start, task)))
        self.scores = jax.jit(jax.vmap(functools.partial(training.scores, task)))
        step = functools.partial(training.step, task)
        self.step = jax.jit(jax.vmap(step, in_axes=(0, 0, None, 0)), donate_argnums=1)
        scan = functools.partial(training.episode, task, False)
        observing = functools.partial(training.episode, task, True)
        self.scan = jax.jit(jax.vmap(scan))
        self.observing = jax.jit(jax.vmap(observing))
        self.blocks = jax.jit(lambda *runs: lax.map(_apart(scan), runs, batch_size=_AT_ONCE))


@functools.cache
def programs_of(task: str) -> Programs:
    return Programs(TASKS[task])


def _apart(function: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda arguments: function(*arguments)


def make(name: str, side: str, runs: int) -> Callable[[], int]:
    """A side: "step by step", or "scan" of a whole episode, observed at its end alone; "observing"
    after every step; in "blocks" of 64 runs, one after another.
    """
    task = TASKS[name]
    programs = programs_of(name)
    generator = np.random.default_rng(0)
    key = random.key(0)

    def play() -> int:
        nonlocal key
        key, now = random.split(key)
        data, run = programs.reset(random.split(now, runs))
        actions = generator.integers(2, size=(runs, task.max_steps))
        if side == "step by step":
            for step in range(task.max_steps):
                run, observed, reward = programs.step(data, run, step + 1, actions[:, step])
                np.asarray(observed), np.asarray(reward)
        else:
            run, observed, reward = getattr(programs, side)(data, run, actions)
            np.asarray(observed), np.asarray(reward)
        jax.block_until_ready(programs.scores(data, run))
        return runs * task.max_steps

    return play


def state(task: str, runs: int) -> dict[str, Any]:
    """Bytes of what a run holds, its data included."""
    kept = programs_of(task).reset(random.split(random.key(0), runs))
    return {"bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(kept)) / runs}


def follow(task: str, start: str, end: str) -> dict[str, Any]:
    """Train from given numbers with given actions, and write what came of it.

    Args:
        task: its name.
        start: NPZ file with `actions` (runs, steps), `parameters/NAME` and `PART/NAME`, each
            (runs, …).
        end: where to write `parameters/NAME` after all steps, and of every step (runs, steps, …)
            `losses`, `norms`, `validation`, `observations` and `rewards`.
    """
    numbers = np.load(start)
    parameters = _group(numbers, "parameters")
    data = {part: _group(numbers, part) for part in ("training", "validation")}
    programs = programs_of(task)
    run = programs.start(data, parameters)
    course: dict[str, list[Any]] = {}
    for step, actions in enumerate(numbers["actions"].T, start=1):
        run, observed, reward = programs.step(data, run, step, actions)
        history = run.history
        figures = {
            "losses": history.losses,
            "norms": history.norms,
            "validation": history.validation,
            "observations": observed,
            "rewards": reward,
        }
        for name, values in figures.items():
            course.setdefault(name, []).append(np.array(values))
    made: dict[str, Any] = {name: np.stack(values, axis=1) for name, values in course.items()}
    for name, leaf in run.parameters.items():
        made[f"parameters/{name}"] = np.array(leaf)
    np.savez(end, **made)
    return {}


def _group(numbers: Any, group: str) -> dict[str, Any]:
    names = [name for name in numbers.files if name.startswith(f"{group}/")]
    return {name.partition("/")[2]: jax.numpy.asarray(numbers[name]) for name in names}


if __name__ == "__main__":
    serve(make, {"state": state, "follow": follow})
