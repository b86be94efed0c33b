"""From specifications to policies: what enters a benchmark, and what is chosen on validation problems first."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from agents.configuration import ALGORITHMS
from agents.policy import Policy
from agents.schedules import FixedWeights, RandomPair, Ratio
from agents.specifications import GRID_SIZE, Specification, run_folders, softadapt_options
from agents.trained_policy import TrainedPolicy
from agents.weighting import WeightingPolicy
from autoloss_gym.names import unknown
from autoloss_gym.task import Task
from autoloss_gym.weightings.softadapt import SoftAdapt

WIDEST_RATIO = 16.0  # grids of R reach from 1/16 to 16


@dataclass
class Entrant:
    """A line of the benchmark's table.

    Args:
        label: its name.
        candidates: policies: of one training seed each ("seeds"), or to choose from, once on validation problems
            ("tuned") or for each problem by its own validation metric ("each").
        mode: what the candidates are.
    """

    label: str
    candidates: list[Policy]
    mode: Literal["seeds", "tuned", "each"] = "seeds"

    @property
    def static(self) -> bool:
        """Whether it may be the reference: it looks at nothing, and costs one training a problem."""
        return self.mode != "each" and all(policy.static for policy in self.candidates)


def make_entrants(specifications: Sequence[Specification], task: Task, env: str, deterministic: bool = False) -> list[Entrant]:
    """One entrant for each specification, with labels that differ."""
    entrants = [make_entrant(each, task, env, deterministic) for each in specifications]
    labels = [entrant.label for entrant in entrants]
    for entrant, specification in zip(entrants, specifications, strict=True):
        if labels.count(entrant.label) > 1:
            entrant.label = specification.text
    return entrants


def warnings(entrants: Sequence[Entrant], env_kwargs: dict[str, Any]) -> list[str]:
    """One line for each policy whose training did not end, and for each that was trained on other arguments of the task."""
    lines = []
    for entrant in entrants:
        for index, policy in enumerate(entrant.candidates):
            if not isinstance(policy, TrainedPolicy):
                continue
            total = policy.configuration.n_timesteps
            if policy.steps < total:
                lines.append(f"{policy.folder} was stopped after {policy.steps:,} of {total:,} steps of training.")
            if index == 0:  # the others are pooled with it because theirs are the same
                trained = {**policy.configuration.env_kwargs, **policy.env_arguments}
                if trained != {**env_kwargs, **policy.env_arguments}:
                    lines.append(f"{entrant.label} was trained with other --env-kwargs: {policy.configuration.env_kwargs}")
    return lines


def make_entrant(specification: Specification, task: Task, env: str, deterministic: bool = False) -> Entrant:
    """The policies that a specification stands for; ValueError where the task does not have what it names."""
    text, argument = specification.text, specification.argument
    if specification.kind in ALGORITHMS:
        policies = [TrainedPolicy(folder, env, deterministic) for folder in run_folders(specification)]
        _check_training_seeds(specification, policies)
        return Entrant(specification.kind, list(policies))
    if specification.kind in ("grid", "grid_each"):
        mode: Literal["tuned", "each"] = "tuned" if specification.kind == "grid" else "each"
        return Entrant(text, _weight_grid(task, int(argument or GRID_SIZE)), mode)
    if specification.kind == "random" and not argument:
        levels = np.linspace(0, 1, GRID_SIZE + 1)[1:-1]
        return Entrant(text, [_random(task, level) for level in levels], "tuned")
    return Entrant(text, [_BUILDERS[specification.kind](text, argument, task)])


def _check_training_seeds(specification: Specification, policies: list[TrainedPolicy]) -> None:
    """Runs are pooled only if they are the same training with different seeds."""
    first = policies[0].configuration
    if first.algo != specification.kind:
        raise ValueError(f"policy {specification.text!r}: {str(policies[0].folder)!r} was trained by {first.algo}")
    for policy in policies[1:]:
        names = [n for n, value in asdict(policy.configuration).items() if n != "seed" and value != asdict(first)[n]]
        if names:
            raise ValueError(
                f"policy {specification.text!r}: {policies[0].folder.name} and {policy.folder.name} differ in "
                f"{', '.join(names)}; only runs that differ in nothing but their seed are pooled"
            )
    seeds = [policy.configuration.seed for policy in policies]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"policy {specification.text!r}: its runs have the seeds {seeds}; each must have its own")


def _ratio(text: str, argument: str, task: Task) -> Policy:
    counts = tuple(map(int, argument.split(":"))) if argument else (1,) * len(task.pairs)
    _check_length(text, len(counts), task)
    return Ratio(text, counts)


def _always(text: str, argument: str, task: Task) -> Policy:
    names = [pair.name for pair in task.pairs]
    if argument not in names:
        raise ValueError(f"policy {text!r}: {unknown('loss', argument, names)}")
    return Ratio(text, tuple(int(name == argument) for name in names))


def _random(task: Task, probability: float) -> Policy:
    others = len(task.pairs) - 1
    if not others:
        raise ValueError("policy 'random': this task has a single pair, there is nothing to draw")
    probabilities = (probability, *[(1 - probability) / others] * others)
    return RandomPair(f"random:{probability:.3g}", tuple(map(float, probabilities)))


def _fixed(text: str, argument: str, task: Task) -> Policy:
    weights = tuple(map(float, argument.split(",")))
    weights = (1.0, *weights) if len(weights) == 1 and len(task.pairs) == 2 else weights
    _check_length(text, len(weights), task)
    return FixedWeights(text, weights)


def _softadapt(text: str, argument: str, task: Task) -> Policy:
    options = softadapt_options(argument)
    sample = bool(options.pop("pair", False))
    return WeightingPolicy(text, SoftAdapt(**options), sample)  # type: ignore[arg-type]


_BUILDERS: dict[str, Callable[[str, str, Task], Policy]] = {
    "ratio": _ratio,
    "round_robin": _ratio,
    "always": _always,
    "random": lambda text, argument, task: _random(task, float(argument)),
    "fixed": _fixed,
    "softadapt": _softadapt,
}


def _weight_grid(task: Task, size: int) -> list[Policy]:
    if len(task.pairs) != 2:
        raise ValueError(f"policy 'grid': this task has {len(task.pairs)} pairs; the grid is for 2. Use fixed:W1,W2,…")
    ratios = np.geomspace(1 / WIDEST_RATIO, WIDEST_RATIO, size)
    return [FixedWeights(f"fixed:{ratio:.3g}", (1.0, float(ratio))) for ratio in ratios]


def _check_length(text: str, length: int, task: Task) -> None:
    if length != len(task.pairs):
        names = ", ".join(pair.name for pair in task.pairs)
        raise ValueError(f"policy {text!r} has {length} parts, but the task has {len(task.pairs)} pairs: {names}")
