"""The families of problems that are studied, and the trainings that are compared on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.configuration import ENVIRONMENT_DEFAULTS


@dataclass(frozen=True)
class Family:
    """A family of problems, and what is spent on it.

    Args:
        env: id of the environment.
        env_kwargs: of the family.
        num_envs: runs of an update.
        updates: of a training.
        search_runs: training runs for the search of the base.
        outcome: what a controller is trained on; the truth is for generated problems alone.
        episodes: unseen problems.
        candidate_episodes: those of them on which constants and shifts are played.
    """

    env: str
    env_kwargs: Mapping[str, Any]
    num_envs: int
    updates: int
    search_runs: int
    outcome: str = "truth"
    episodes: int = 1024
    candidate_episodes: int = 1024


@dataclass(frozen=True)
class Row:
    """A controller, trained with several seeds.

    Args:
        title: in tables.
        algo: that trains it.
        env_kwargs: beside those of the family.
        control_arguments: beside the base.
        hyperparameters: of the algorithm, beside the sizes.
        own_base: whether it searches its base; otherwise it takes that of `CONTROLLER`'s training
            with the same seed.
    """

    title: str
    algo: str = "group"
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    control_arguments: Mapping[str, Any] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    own_base: bool = False


FAMILIES = {
    "regression": Family(
        env="AutoLoss/QuadraticRegression-v1",
        env_kwargs={"preset": "mixture"},
        num_envs=1152,
        updates=30,
        search_runs=10_000,
    ),
    "classification": Family(
        env="AutoLoss/MLPClassification-v1",
        env_kwargs={"preset": "mixture"},
        num_envs=384,
        updates=20,
        search_runs=4_000,
        candidate_episodes=512,
    ),
    "tables": Family(
        env="AutoLoss/MLPClassification-v1",
        env_kwargs={"preset": "tables"},
        num_envs=384,
        updates=20,
        search_runs=4_000,
        outcome="validation",
        candidate_episodes=512,
    ),
}
CONTROLLER, BLIND = "controller", "blind"
_USUAL: list[str] = ENVIRONMENT_DEFAULTS["group"]["add"]

MAIN: dict[str, Row] = {
    CONTROLLER: Row("group controller, 3 decisions", own_base=True),
    BLIND: Row("the same, blind", hyperparameters={"blind": True}),
}


def _without(group: str) -> Row:
    left = [name for name in _USUAL if name != group]
    return Row(f"without the group {group!r}", env_kwargs={"add": left})


def _with(group: str) -> Row:
    return Row(f"with the group {group!r}", env_kwargs={"add": [*_USUAL, group]})


_EIGHT = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
_MANY_STEPS = {"n_steps": 3, "batch_size": 1152, "n_epochs": 4, "learning_rate": 3e-3}
ABLATION_UPDATES = 15  # for half of the whole recipe's runs
ABLATIONS: dict[str, Row] = {
    "recipe": Row("whole recipe"),
    "decisions_1": Row("1 decision", control_arguments={"decide_at": [0.2]}),
    "decisions_8": Row("8 decisions", control_arguments={"decide_at": list(_EIGHT)}),
    "every_validation": Row("a decision at every validation", control_arguments={"every": 5}),
    "no_group": Row("no groups: one baseline for all", hyperparameters={"baseline": "batch"}),
    "validation": Row("reward from validation", hyperparameters={"outcome": "validation"}),
    "no_step_size": Row("no step size", control_arguments={"step_size": False}),
    "without_sizes": _without("sizes"),
    "without_sparsity": _without("sparsity"),
    "without_best": _without("best"),
    "without_shift": _without("shift"),
    "with_gap": _with("gap"),
    "with_gradient_noise": _with("gradient_noise"),
    "with_gradient_cosines": _with("gradient_cosines"),
    "scaled": Row("features squashed into [-1, 1]", env_kwargs={"features": "scaled"}),
    "ppo": Row("PPO of Stable-Baselines3", algo="ppo", hyperparameters=_MANY_STEPS),
    "sac": Row("SAC of Stable-Baselines3", algo="sac", hyperparameters={"learning_starts": 3456}),
}
