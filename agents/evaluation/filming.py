"""A film of one run of a benchmark: what the model makes while its best policy trains it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..environments import MakeEnv
from ..learners.sample_log import SampleLog
from ..policies.catalogue import Entrant
from ..policies.policy import Policy
from ..progress import show_progress
from .comparison import Benchmark
from .rollout import decide


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
    everyone = slice(0, 1)
    observations, infos = env.reset(seed=[seed])
    policy.reset(np.array([seed]))
    ended = False
    done = 0
    with show_progress("updates", lines=1) as progress:
        while not ended:
            if policy.diagnostics:
                infos = infos | env.diagnostics()
            control = decide([policy], [everyone], env, observations, infos)
            observations, _, terminated, _, infos = env.step_control(control)
            ended = bool(terminated[0])
            samples.watch(ended)
            done += env.repeat
            progress.update(f"filming a run of {policy.label}", done, env.task.max_steps)
    samples.save(folder)
    env.close()
