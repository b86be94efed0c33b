"""Policies that a training has stored, in run folders or in a file of Stable-Baselines3."""

from ..kinds import Specification
from ..policy import Candidates, Setting
from .trained_policy import TrainedPolicy
from .zip_policy import ZipPolicy


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
