"""The families of problems, and what is trained on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agents.configuration import ENVIRONMENT_DEFAULTS

_SEEN = {"features": "log", "add": ["best", "shift"]}
_BY_STEP = {"control": "step_size", "features": "log", "add": ["step_size", "best"]}


@dataclass(frozen=True)
class Row:
    """A controller, trained with several seeds.

    Args:
        title: in tables.
        algo: that trains it.
        env_kwargs: beside those of the family.
        num_envs: runs at once.
        n_timesteps: of a training.
        hyperparameters: of the algorithm, in place of its file's.
        base: the row whose base it takes; it has none, or searches one, by default.
    """

    title: str
    algo: str
    env_kwargs: Mapping[str, Any]
    num_envs: int
    n_timesteps: int
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    base: str | None = None


@dataclass(frozen=True)
class Family:
    """A family of problems, and who meets there.

    Args:
        title: in tables and pictures.
        env: id of the environment.
        env_kwargs: of the family.
        rows: what is trained, by name; "group" is the controller, "blind" its copy.
        knots: of the schedules that are searched, with as many runs as the group controller has.
        rules: closed-form step sizes by title: arguments of the environment.
        choosing: validation problems, on which constants and cosines are chosen.
        episodes: unseen problems.
        most_seeds: trainings of a row at most, where each takes long.
    """

    title: str
    env: str
    env_kwargs: Mapping[str, Any]
    rows: Mapping[str, Row]
    knots: tuple[int, ...]
    rules: Mapping[str, Mapping[str, Any]]
    choosing: int = 512
    episodes: int = 1000
    most_seeds: int = 5


def group(
    decisions: int,
    control: Mapping[str, Any],
    num_envs: int,
    updates: int,
    search_runs: int,
    search_problems: int,
) -> dict[str, Row]:
    """A controller of some decisions and its blind copy, which plays from the same base.

    Args:
        decisions: of a run.
        control: arguments of the control.
        num_envs: runs of an update.
        updates: of a training.
        search_runs: training runs for the search of the base.
        search_problems: that each candidate meets in a generation of it.
    """
    env_kwargs = {**_SEEN, "control": "schedule", "control_arguments": dict(control)}
    steps = num_envs * updates * decisions
    title = f"group controller, {decisions} decisions"
    own = {"outcome": "truth", "search_runs": search_runs, "search_problems": search_problems}
    own["copies"] = 24
    seeing = Row(title, "group", env_kwargs, num_envs, steps, own)
    blind = replace(
        seeing, title="the same, blind", hyperparameters={**own, "blind": True}, base="group"
    )
    return {"group": seeing, "blind": blind}


def sac(repeat: int, step_size_range: float, runs: int, updates: int) -> Row:
    """SAC with step sizes relative to the last one, each held for some updates.

    Args:
        repeat: these updates.
        step_size_range: the greatest factor of an action.
        runs: training runs.
        updates: of a run.
    """
    arguments = {"relative": True, "step_size_range": step_size_range}
    env_kwargs = {**_BY_STEP, "control_arguments": arguments, "repeat": repeat}
    actions = updates // repeat
    title = f"SAC, {actions} decisions"
    return Row(title, "sac", env_kwargs, 64, runs * actions)


def meta_constant(num_envs: int, meta_steps: int, **options: Any) -> Row:
    """A constant that meta-gradient descent finds on training problems.

    Args:
        num_envs: training runs of a meta-step.
        meta_steps: of a training.
        options: of the algorithm.
    """
    env_kwargs = ENVIRONMENT_DEFAULTS["meta_gradient"]
    steps = num_envs * meta_steps
    return Row("meta-learned constant", "meta_gradient", env_kwargs, num_envs, steps, options)
