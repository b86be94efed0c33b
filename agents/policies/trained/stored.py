"""Policies that a training has stored, in run folders or in a file of Stable-Baselines3."""

import dataclasses

from autoloss_gym.controllers.controller import Controller
from autoloss_gym.environment.runs import describe

from ..kinds import Specification
from ..policy import Candidates, Setting
from .trained_policy import TrainedPolicy
from .zip_policy import ZipPolicy


def build_controllers(specification: Specification, setting: Setting) -> Candidates:
    """One policy for each file of a controller, for runs of this task."""
    found: list[Controller] = []
    for path in specification.value:
        controller = Controller.load(path).on(describe(setting.task))
        found.append(dataclasses.replace(controller, deterministic=setting.deterministic))
    arguments = found[0].env_arguments
    if any(each.env_arguments != arguments for each in found):
        raise ValueError(
            f"policy {specification.text!r}: these controllers see or do different things; only "
            "trainings of one kind are pooled: name them one by one"
        )
    return Candidates(found, label=f"controller:{found[0].label}")


def build_stored(specification: Specification, setting: Setting) -> Candidates:
    """One policy for each run folder, or that of the file; both are called by their algorithm."""
    algorithm = specification.kind.name
    stored = specification.value
    if stored.zip_file:
        model = ZipPolicy(algorithm, stored.zip_file, setting.deterministic)
        return Candidates([model], label=algorithm)

    policies = []
    for folder in stored.folders:
        policies.append(TrainedPolicy(folder, setting.env, setting.deterministic))
    return Candidates(policies, label=algorithm)
