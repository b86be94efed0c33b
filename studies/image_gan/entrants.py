"""Runs of a study of `AutoLoss/ImageGAN-v0`: scores in the course of training, kept in files from
which a study goes on.
"""

import functools
import glob
import hashlib
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.environments import SEED_SPACING, EnvironmentMaker
from agents.evaluation.entrants import Entrant, make_entrants
from agents.evaluation.rollout import decide, worker_processes
from agents.policies.grammar import parse_specification
from agents.policies.policy import Policy
from agents.policies.trained_policy import TrainedPolicy
from agents.run_folders import load_configuration
from autoloss_gym import random
from autoloss_gym.core.task import Task
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.networks.dcgan import ACTIVATIONS
from autoloss_gym.tasks.images.image_gan import ImageGAN
from autoloss_gym.tools.files import write_text

ID = "AutoLoss/ImageGAN-v0"
TEST_SEEDS, VALIDATION_SEEDS = (
    SEED_SPACING,
    0,
)  # the first seeds of the runs that are reported, and of those that choose


@dataclass(frozen=True)
class Job:
    """One policy on a batch of runs.

    Args:
        make_env: makes their environment.
        policy: decides in all of them.
        seeds: of the runs.
        every: steps between two scores.
    """

    make_env: EnvironmentMaker
    policy: Policy
    seeds: tuple[int, ...]
    every: int

    @property
    def key(self) -> dict[str, Any]:
        """All that the scores depend on, as plain values."""
        arguments = self.make_env.arguments | self.policy.env_arguments
        preset = repr(ImageGAN.presets.get(arguments.get("preset", "")))  # its content may change
        return {
            "arguments": arguments,
            "preset": preset,
            "policy": repr(self.policy),
            "seeds": list(self.seeds),
            "every": self.every,
        }


class CurveStore:
    """Curves of finished jobs in a folder, one JSON file each, whole or absent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, job: Job) -> np.ndarray | None:
        """What was saved for a job with the same arguments, or None."""
        try:
            return np.array(json.loads(self._path(job).read_text())["curve"])
        except (OSError, ValueError, KeyError):  # absent, or damaged: it is played again
            return None

    def save(self, job: Job, curve: np.ndarray) -> None:
        write_text(self._path(job), json.dumps({**job.key, "curve": curve.tolist()}))

    def _path(self, job: Job) -> Path:
        digest = hashlib.sha256(json.dumps(job.key, sort_keys=True).encode()).hexdigest()
        return self._folder / f"{digest[:24]}.json"


def play(job: Job) -> np.ndarray:
    """Scores after every `every` steps, (points, runs, metrics); a run that has ended keeps its
    last ones.
    """
    count = len(job.seeds)
    envs = job.make_env(num_envs=count, autoreset_mode="NextStep", **job.policy.env_arguments)
    observations, infos = envs.reset(seed=list(job.seeds))
    job.policy.reset(np.array(job.seeds))
    running, latest, curve = (
        np.ones(count, dtype=bool),
        np.zeros((count, len(envs.task.score_metrics))),
        [],
    )
    for step in range(envs.repeat, envs.task.max_steps + 1, envs.repeat):
        if running.any():
            control = decide([job.policy], [slice(0, count)], envs, observations, infos)
            observations, _, ended, _, infos = envs.step_control(control)
            if step % job.every == 0 or (running & ended).any():
                latest = np.where(running[:, None], finite_scores(envs), latest)
            running &= ~ended
        if step % job.every == 0:
            curve.append(latest)
    envs.close()
    return np.stack(curve)


def finite_scores(envs: AutoLossVectorEnv) -> np.ndarray:
    """Scores of all runs as they are, (runs, metrics); the declared worst where one is not finite."""
    scores = envs.scores()
    return np.where(
        np.isfinite(scores), scores, [metric.worst for metric in envs.task.score_metrics]
    )


def play_all(jobs: Sequence[Job], store: CurveStore, num_workers: int = 1) -> list[np.ndarray]:
    """The curve of every job; each is in the store as soon as it is finished."""
    missing = [job for job in jobs if store.load(job) is None]
    with worker_processes(num_workers if len(missing) > 1 else 1) as pool:
        played = (pool.map if pool else map)(functools.partial(_play_and_save, store), missing)
        for done, (job, curve) in enumerate(zip(missing, played, strict=True), 1):
            end = curve[-1, :, 0].mean()
            print(
                f"{done} of {len(missing)}: {job.policy.label}, {end:.3f} at the end",
                file=sys.stderr,
                flush=True,
            )
    curves = [store.load(job) for job in jobs]
    return [curve for curve in curves if curve is not None]


def _play_and_save(store: CurveStore, job: Job) -> np.ndarray:
    curve = play(job)
    store.save(job, curve)
    return curve


def check_every(every: int, task: Task, policies: Sequence[Policy], repeat: int) -> None:
    """ValueError if scores cannot be taken after every so many steps, and at the end."""
    if task.max_steps % every:
        raise ValueError(f"--every {every}: expected a divisor of max_steps={task.max_steps}")
    for policy in policies:
        steps = policy.env_arguments.get("repeat", repeat)
        if every % steps:
            raise ValueError(
                f"--every {every}: expected a multiple of the {steps} updates of a step of {policy.label}"
            )


def entrants(
    texts: Sequence[str], controllers: str | None, make_env: EnvironmentMaker
) -> list[Entrant]:
    """The policies that are named as for `evaluate.py`, and at last the trained ones of the folders
    that match.
    """
    chosen = [*texts, *([_specification(controllers)] if controllers else [])]
    envs = make_env(num_envs=1)
    made = make_entrants(
        [parse_specification(text) for text in dict.fromkeys(chosen)], envs.task, ID
    )
    for entrant in made:
        if entrant.mode != "seeds" or not entrant.candidates:
            raise ValueError(
                f"policy {entrant.label!r} is chosen among others; name one, such as random:0.5 or 1:3"
            )
        for policy in entrant.candidates:
            if isinstance(policy, TrainedPolicy):
                policy.load(make_env(num_envs=1, **policy.env_arguments))
    return made


def _specification(pattern: str) -> str:
    """The trained policies of a pattern as `evaluate.py` would be told of them."""
    folders = [Path(found) for found in sorted(glob.glob(pattern)) if Path(found).is_dir()]
    if not folders:
        raise ValueError(f"--controllers {pattern!r}: there is no such folder")
    return f"{load_configuration(folders[0]).algo}:{pattern}"


def architectures(
    count: int, filters: Sequence[int], latent_sizes: Sequence[int], seed: int = 0
) -> list[dict[str, Any]]:
    """Different architectures, drawn from all combinations (AutoLoss, Appendix A.5); a greater
    count begins with the same ones.

    Returns:
        Arguments of the task that replace those of a preset.
    """
    values = (
        dict.fromkeys(filters),
        dict.fromkeys(latent_sizes),
        (False, True),
        ACTIVATIONS,
        ACTIVATIONS,
    )
    names = (
        "filters",
        "latent_size",
        "batch_norm",
        "generator_activation",
        "discriminator_activation",
    )
    combinations = [dict(zip(names, each, strict=True)) for each in itertools.product(*values)]
    if count > len(combinations):
        raise ValueError(
            f"--architectures {count}: expected at most {len(combinations)}, or more --filters and --latents"
        )
    order = random.permutation(torch.tensor([seed]), len(combinations))[0]
    return [combinations[index] for index in order[:count].tolist()]


def architecture_label(arguments: dict[str, Any]) -> str:
    """One cell of a table."""
    if not arguments:
        return "of the preset"
    activations = "/".join(
        arguments[f"{player}_activation"] for player in ("generator", "discriminator")
    )
    norm = "batch norm" if arguments["batch_norm"] else "no batch norm"
    return (
        f"{arguments['filters']} filters, {arguments['latent_size']} latents, {norm}, {activations}"
    )
