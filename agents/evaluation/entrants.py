"""Entrants of a benchmark, made from what the command line names."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from autoloss_gym.controllers.policy import Policy
from autoloss_gym.core.task import Task

from ..policies.kinds import Specification
from ..policies.policy import Candidates, Setting
from ..policies.searched import Search
from ..policies.trained.trained_policy import TrainedPolicy

_MAY_DIFFER = ("seed", "checkpoint_every")  # of trainings that are pooled


@dataclass
class Entrant:
    """A line of the benchmark's table.

    Args:
        label: its name.
        candidates: policies of one training seed each ("seeds"), or to choose from: once on
            validation problems ("tuned"), or for each problem by its own validation metric
            ("each").
        mode: the relation of the candidates.
        search: what finds the candidates, if something does.
        training_runs: what the entrant has cost before the table's problems: its search and the
            choice among several candidates, or its training with one seed.
        specification: what the candidates were built from, where they were.
    """

    label: str
    candidates: list[Policy]
    mode: Literal["seeds", "tuned", "each"] = "seeds"
    search: Search | None = None
    training_runs: int = 0
    specification: Specification | None = None

    @property
    def static(self) -> bool:
        """Whether it may be the reference: it is blind, and costs one training a problem."""
        return self.mode != "each" and all(policy.static for policy in self.candidates)


def make_entrants(
    specifications: Sequence[Specification], task: Task, env: str, deterministic: bool = False
) -> list[Entrant]:
    """One entrant for each specification, with labels that differ."""
    entrants = [make_entrant(each, task, env, deterministic) for each in specifications]
    labels = [entrant.label for entrant in entrants]
    for entrant, specification in zip(entrants, specifications, strict=True):
        if labels.count(entrant.label) > 1:
            entrant.label = specification.text
    return entrants


def make_entrant(
    specification: Specification, task: Task, env: str, deterministic: bool = False
) -> Entrant:
    """The policies that a specification stands for.

    Raises:
        ValueError: the task does not have what the specification names, or trainings that differ
            in more than their seed were named together.
    """
    built = specification.build(Setting(task, env, deterministic))
    if not isinstance(built, Candidates):
        return Entrant(specification.text, [built], specification=specification)

    trained = [policy for policy in built.policies if isinstance(policy, TrainedPolicy)]
    if trained:
        _check_training_seeds(specification, trained)
    label = built.label or specification.text
    candidates = list(built.policies)
    return Entrant(label, candidates, built.mode, built.search, specification=specification)


def warnings(entrants: Sequence[Entrant], env_kwargs: dict[str, Any], task: Task) -> list[str]:
    """Lines about trainings that did not end, or were on other arguments or data of the task."""
    lines = []
    for entrant in entrants:
        trained = [policy for policy in entrant.candidates if isinstance(policy, TrainedPolicy)]
        for policy in trained:
            total = policy.configuration.n_timesteps
            if policy.steps < total:
                lines.append(
                    f"{policy.folder} was stopped after {policy.steps:,} of {total:,} steps of "
                    "training."
                )
        # Runs that are pooled were trained on the same arguments.
        if trained and _trained_elsewhere(trained[0], env_kwargs):
            lines.append(
                f"{entrant.label} was trained with other --env-kwargs: "
                f"{trained[0].configuration.env_kwargs}"
            )
        elif trained and trained[0].configuration.data not in ("", task.data_digest):
            lines.append(f"{entrant.label} was trained on data that have changed since.")
    return lines


def _trained_elsewhere(policy: TrainedPolicy, env_kwargs: dict[str, Any]) -> bool:
    """Whether the task had other arguments, apart from those that the policy brings along."""
    of_training = {**policy.configuration.env_kwargs, **policy.env_arguments}
    here = {**env_kwargs, **policy.env_arguments}
    return of_training != here


def _check_training_seeds(specification: Specification, policies: list[TrainedPolicy]) -> None:
    """Pooled runs are the same training with different seeds."""
    text = specification.text
    first = policies[0]
    if first.configuration.algo != specification.kind.name:
        raise ValueError(
            f"policy {text!r}: {str(first.folder)!r} was trained by {first.configuration.algo}"
        )

    expected = asdict(first.configuration)
    for policy in policies[1:]:
        found = asdict(policy.configuration)
        names = [name for name in found if found[name] != expected[name]]
        names = [name for name in names if name not in _MAY_DIFFER]
        if names:
            raise ValueError(
                f"policy {text!r}: {first.folder.name} and {policy.folder.name} differ in "
                f"{', '.join(names)}; only runs that differ in nothing but their seed are pooled"
            )

    seeds = [policy.configuration.seed for policy in policies]
    if len(set(seeds)) < len(seeds):
        raise ValueError(
            f"policy {text!r}: its runs have the seeds {seeds}; each must have its own"
        )


def num_candidates(entrants: Sequence[Entrant]) -> int:
    """Policies that play for a choice; a search that is over has added its own."""
    contested = [entrant for entrant in entrants if entrant.mode == "tuned" or entrant.static]
    return sum(len(entrant.candidates) for entrant in contested)


def most_runs(entrants: Sequence[Entrant], episodes: int) -> int:
    """Training runs that a benchmark plays at most, without what its searches will add."""
    searched = sum(each.search.plan.training_runs for each in entrants if each.search)
    return searched + episodes * (num_candidates(entrants) + len(entrants))
