"""Scores in the course of training, kept in files from which a study goes on after a kill."""

import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autoloss_gym.controllers.policy import Policy
from autoloss_gym.core.task import Task
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.forms import Array

from ..environments import EnvironmentMaker
from .loop import Step, play_episodes
from .store import Store
from .workers import worker_processes


@dataclass(frozen=True)
class Job:
    """One policy on a batch of runs.

    Args:
        make_env: makes their environment.
        policy: decides in all of them.
        seeds: of the runs.
        scored_after: the steps after which all runs are scored, ascending; each a multiple of the
            updates that a step of the environment makes.
    """

    make_env: EnvironmentMaker
    policy: Policy
    seeds: tuple[int, ...]
    scored_after: tuple[int, ...]

    @property
    def key(self) -> dict[str, Any]:
        """All that the scores depend on, as plain values."""
        return {
            "id": self.make_env.id,
            "arguments": self.make_env.arguments | self.policy.env_arguments,
            "policy": repr(self.policy),
            "seeds": list(self.seeds),
            "scored_after": list(self.scored_after),
        }


def every(interval: int, max_steps: int) -> tuple[int, ...]:
    """The steps `interval`, 2 · `interval`, … up to `max_steps`."""
    return tuple(range(interval, max_steps + 1, interval))


def check_every(interval: int, task: Task, policies: Sequence[Policy], repeat: int) -> None:
    """Check that runs can be scored after each so many steps, and at the end.

    Raises:
        ValueError: the interval does not divide the steps of an episode, or is no multiple of the
            updates that a step of some policy makes.
    """
    if task.max_steps % interval:
        raise ValueError(f"--every {interval}: expected a divisor of max_steps={task.max_steps}")
    for policy in policies:
        if policy.env_arguments.get("control") == "schedule":
            raise ValueError(
                f"--every {interval}: {policy.label} holds a schedule from one decision to the "
                "next, and its runs cannot be scored in between; leave it out"
            )
        updates = policy.env_arguments.get("repeat", repeat)
        if interval % updates:
            raise ValueError(
                f"--every {interval}: expected a multiple of the {updates} updates "
                f"of a step of {policy.label}"
            )


def play(job: Job) -> np.ndarray:
    """Scores after each of `job.scored_after`, (points, runs, metrics).

    A run that has ended keeps its last scores.
    """
    # A run that ends is reset only by the step that follows, so that its last scores can be taken.
    envs = job.make_env(
        num_envs=len(job.seeds), autoreset_mode="NextStep", **job.policy.env_arguments
    )
    latest = np.zeros((envs.num_envs, len(envs.task.score_metrics)))
    curve = []

    def score(step: Step) -> None:
        nonlocal latest
        due = step.number in job.scored_after
        if due or step.ended.any():
            latest = np.where(step.running[:, None], finite_scores(envs), latest)
        if due:
            curve.append(latest)

    play_episodes([job.policy], envs, np.array(job.seeds), score)
    envs.close()
    missing = len(job.scored_after) - len(curve)  # points after the last run has ended
    return np.stack(curve + [latest] * missing)


def finite_scores(envs: AutoLossVectorEnv) -> np.ndarray:
    """Scores of all runs, (runs, metrics), with the declared worst where one is not finite."""
    scores = envs.scores()
    worst = [metric.worst for metric in envs.task.score_metrics]
    return np.where(np.isfinite(scores), scores, worst)


def play_all(jobs: Sequence[Job], store: Store, num_workers: int = 1) -> list[np.ndarray]:
    """The curve of every job; each is in the store as soon as it is finished."""
    missing = [job for job in jobs if _load(store, job) is None]
    play_one = functools.partial(_play_and_save, store)
    with worker_processes(num_workers if len(missing) > 1 else 1) as pool:
        played = pool.map(play_one, missing) if pool else map(play_one, missing)
        for done, (job, curve) in enumerate(zip(missing, played, strict=True), 1):
            end = curve[-1, :, 0].mean()
            line = f"{done} of {len(missing)}: {job.policy.label}, {end:.3f} at the end"
            print(line, file=sys.stderr, flush=True)

    curves = [_load(store, job) for job in jobs]
    return [curve for curve in curves if curve is not None]


def _load(store: Store, job: Job) -> np.ndarray | None:
    shape = (len(job.scored_after), len(job.seeds), None)
    arrays = store.load(job.key, {"curve": Array("float64", shape)})
    return None if arrays is None else arrays["curve"]


def _play_and_save(store: Store, job: Job) -> np.ndarray:
    curve = play(job)
    store.save(job.key, {"curve": curve})
    return curve
