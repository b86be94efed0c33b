"""Policies and architectures of a study of `AutoLoss/ImageGAN-v1`."""

import glob
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from agents.environments import SEED_SPACING, EnvironmentMaker
from agents.evaluation.entrants import Entrant, make_entrants
from agents.policies.grammar import parse_specification
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.run_folders import load_configuration
from autoloss_gym import random
from autoloss_gym.networks.dcgan import ACTIVATIONS

ID = "AutoLoss/ImageGAN-v1"
TEST_SEEDS = SEED_SPACING  # the first seed of the runs that are reported
VALIDATION_SEEDS = 0  # the first seed of the runs that choose


def entrants(
    texts: Sequence[str], controllers: str | None, make_env: EnvironmentMaker
) -> list[Entrant]:
    """The policies named as for `evaluate.py`, followed by the trained ones of matching folders."""
    chosen = list(texts)
    if controllers:
        chosen.append(_specification(controllers))
    parsed = [parse_specification(text) for text in dict.fromkeys(chosen)]
    made = make_entrants(parsed, make_env(num_envs=1).task, ID)

    for entrant in made:
        if entrant.mode != "seeds" or not entrant.candidates:
            raise ValueError(
                f"policy {entrant.label!r} is chosen among others; "
                "name one, such as random:0.5 or 1:3"
            )
        for policy in entrant.candidates:
            if isinstance(policy, TrainedPolicy):
                policy.load(make_env(num_envs=1, **policy.env_arguments))
    return made


def _specification(pattern: str) -> str:
    """The trained policies of a pattern, written as for `evaluate.py`."""
    folders = [Path(found) for found in sorted(glob.glob(pattern)) if Path(found).is_dir()]
    if not folders:
        raise ValueError(f"--controllers {pattern!r}: there is no such folder")
    return f"{load_configuration(folders[0]).algo}:{pattern}"


def architectures(
    count: int, filters: Sequence[int], latent_sizes: Sequence[int], seed: int = 0
) -> list[dict[str, Any]]:
    """Different architectures, drawn from all combinations (AutoLoss, Appendix A.5).

    A greater count begins with the same ones.

    Returns:
        Arguments of the task that replace those of a preset.
    """
    values = {
        "filters": dict.fromkeys(filters),
        "latent_size": dict.fromkeys(latent_sizes),
        "batch_norm": (False, True),
        "generator_activation": ACTIVATIONS,
        "discriminator_activation": ACTIVATIONS,
    }
    combinations = [
        dict(zip(values, each, strict=True)) for each in itertools.product(*values.values())
    ]
    if count > len(combinations):
        raise ValueError(
            f"--architectures {count}: expected at most {len(combinations)}, "
            "or more --filters and --latents"
        )
    order = random.permutation(torch.tensor([seed]), len(combinations))[0]
    return [combinations[index] for index in order[:count].tolist()]


def architecture_label(arguments: dict[str, Any]) -> str:
    """One cell of a table."""
    if not arguments:
        return "of the preset"
    norm = "batch norm" if arguments["batch_norm"] else "no batch norm"
    activations = f"{arguments['generator_activation']}/{arguments['discriminator_activation']}"
    return (
        f"{arguments['filters']} filters, {arguments['latent_size']} latents, {norm}, {activations}"
    )
