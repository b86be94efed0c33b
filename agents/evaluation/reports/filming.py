"""A film of one run of a benchmark: what the model makes while its best policy trains it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autoloss_gym.controllers.policy import Policy

from ...environments import MakeEnv
from ...learners.sample_log import SampleLog
from ...progress import show_progress
from ..entrants import Entrant
from ..loop import Step, play_episodes
from ..rows import Benchmark


def winner(benchmark: Benchmark, entrants: Sequence[Entrant]) -> Policy | None:
    """The policy with the best mean; None where all entrants choose anew for each problem."""
    by_label = {entrant.label: entrant for entrant in entrants}
    for row in benchmark.rows:
        entrant = by_label[row.label]
        if entrant.mode == "each":
            continue
        labels = [policy.label for policy in entrant.candidates]
        index = labels.index(row.chosen) if row.chosen in labels else 0
        return entrant.candidates[index]
    return None


def film(policy: Policy, make_env: MakeEnv, seed: int, folder: Path) -> None:
    """Play one problem again, and write its samples to `samples.gif`.

    Args:
        policy: trains the model.
        make_env: (num_envs, **arguments) → environment, of a task that makes images.
        seed: numbers the problem.
        folder: where the film is written.
    """
    env = make_env(num_envs=1, **policy.env_arguments)
    samples = SampleLog(env)
    with show_progress("updates", lines=1) as progress:

        def watch(step: Step) -> None:
            samples.watch(bool(step.ended[0]))
            stage = f"filming a run of {policy.label}"
            progress.update(stage, step.number, env.task.max_steps)

        play_episodes([policy], env, np.array([seed]), watch)
    samples.save(folder)
    env.close()
