"""From specifications to policies: what enters a benchmark, and what is chosen on validation
problems first.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from autoloss_gym.core.task import Task
from autoloss_gym.tools.names import unknown

from ..configuration import ALGORITHMS
from .balance import Balance
from .grammar import RULES, WEIGHTINGS, Specification, run_folders, weighting_options
from .policy import Policy
from .schedules import FixedWeights, RandomPair, Ratio
from .threshold_rules import threshold_rule, thresholds
from .trained_policy import TrainedPolicy
from .weighting import weighting_policy
from .zip_policy import ZipPolicy

GRIDS = {
    1: (1 / 16, 16.0, 20),
    2: (1 / 16, 256.0, 13),
}  # least and greatest R, and their number, for so many penalties
KNOTS = 4
RATIOS = ("1:1", *(ratio for k in (3, 5, 7, 9, 11) for ratio in (f"1:{k}", f"{k}:1")))
_MAY_DIFFER = ("seed", "checkpoint_every")  # of trainings that are pooled


@dataclass
class Entrant:
    """A line of the benchmark's table.

    Args:
        label: its name.
        candidates: policies: of one training seed each ("seeds"), or to choose from, once on
            validation problems ("tuned") or for each problem by its own validation metric ("each").
        mode: what the candidates are.
        knots: of the open-loop schedule whose search makes the candidates; 0 where there is no
            search.
    """

    label: str
    candidates: list[Policy]
    mode: Literal["seeds", "tuned", "each"] = "seeds"
    knots: int = 0

    @property
    def static(self) -> bool:
        """Whether it may be the reference: it looks at nothing, and costs one training a problem."""
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


def warnings(entrants: Sequence[Entrant], env_kwargs: dict[str, Any]) -> list[str]:
    """One line for each policy whose training did not end, and for each that was trained on other
    arguments of the task.
    """
    lines = []
    for entrant in entrants:
        for index, policy in enumerate(entrant.candidates):
            if not isinstance(policy, TrainedPolicy):
                continue
            total = policy.configuration.n_timesteps
            if policy.steps < total:
                lines.append(
                    f"{policy.folder} was stopped after {policy.steps:,} of {total:,} steps of training."
                )
            if index == 0:  # the others are pooled with it because theirs are the same
                trained = {**policy.configuration.env_kwargs, **policy.env_arguments}
                if trained != {**env_kwargs, **policy.env_arguments}:
                    lines.append(
                        f"{entrant.label} was trained with other --env-kwargs: {policy.configuration.env_kwargs}"
                    )
    return lines


def make_entrant(
    specification: Specification, task: Task, env: str, deterministic: bool = False
) -> Entrant:
    """The policies that a specification stands for; ValueError where the task does not have what it
    names.
    """
    text, argument = specification.text, specification.argument
    if specification.kind in ALGORITHMS:
        if specification.zip_file:
            return Entrant(
                specification.kind,
                [ZipPolicy(specification.kind, specification.zip_file, deterministic)],
            )
        policies = [
            TrainedPolicy(folder, env, deterministic) for folder in run_folders(specification)
        ]
        _check_training_seeds(specification, policies)
        return Entrant(specification.kind, list(policies))
    if specification.kind in ("grid", "grid_each"):
        mode: Literal["tuned", "each"] = "tuned" if specification.kind == "grid" else "each"
        return Entrant(text, _weight_grid(text, task, int(argument) if argument else None), mode)
    if specification.kind == "open_loop":
        _check_choice(text, task)
        return Entrant(text, [], "tuned", knots=int(argument or KNOTS))
    if specification.kind == "random" and not argument:
        _check_choice(text, task)
        return Entrant(
            text,
            [_random(probabilities) for probabilities in _simplex_grid(len(task.pairs))],
            "tuned",
        )
    if specification.kind == "ratios":
        return Entrant(text, _ratios(text, task), "tuned")
    if specification.kind in RULES and not argument:
        rule = specification.kind
        return Entrant(
            text, [threshold_rule(rule, value, task) for value in thresholds(rule)], "tuned"
        )
    return Entrant(text, [_BUILDERS[specification.kind](text, argument, task)])


def _check_training_seeds(specification: Specification, policies: list[TrainedPolicy]) -> None:
    """Runs are pooled only if they are the same training with different seeds."""
    first = policies[0].configuration
    if first.algo != specification.kind:
        raise ValueError(
            f"policy {specification.text!r}: {str(policies[0].folder)!r} was trained by {first.algo}"
        )
    for policy in policies[1:]:
        names = [
            n
            for n, value in asdict(policy.configuration).items()
            if n not in _MAY_DIFFER and value != asdict(first)[n]
        ]
        if names:
            raise ValueError(
                f"policy {specification.text!r}: {policies[0].folder.name} and {policy.folder.name} differ in "
                f"{', '.join(names)}; only runs that differ in nothing but their seed are pooled"
            )
    seeds = [policy.configuration.seed for policy in policies]
    if len(set(seeds)) < len(seeds):
        raise ValueError(
            f"policy {specification.text!r}: its runs have the seeds {seeds}; each must have its own"
        )


def _ratio(text: str, argument: str, task: Task) -> Policy:
    counts = tuple(map(int, argument.split(":"))) if argument else (1,) * len(task.pairs)
    _check_length(text, len(counts), task)
    return Ratio(text, counts)


def _ratios(text: str, task: Task) -> list[Policy]:
    if len(task.pairs) != 2:
        raise ValueError(
            f"policy {text!r}: this task has {len(task.pairs)} pairs; the ratios are for 2. Use K:L:…"
        )
    return [_ratio(ratio, ratio, task) for ratio in RATIOS]


def _balance(text: str, argument: str, task: Task) -> Policy:
    _check_choice(text, task)
    return Balance(text, float(argument or 1))


def _always(text: str, argument: str, task: Task) -> Policy:
    names = [pair.name for pair in task.pairs]
    if argument not in names:
        raise ValueError(f"policy {text!r}: {unknown('loss', argument, names)}")
    return Ratio(text, tuple(int(name == argument) for name in names))


def _without_penalty(text: str, argument: str, task: Task) -> Policy:
    if not hasattr(task, "train_on_validation"):
        raise ValueError(
            f"policy {text!r}: {type(task).__name__} has no argument train_on_validation"
        )
    counts = (1, *[0] * (len(task.pairs) - 1))
    return Ratio(
        text, counts, static=False, env_arguments={"train_on_validation": True}
    )  # more data: no fair reference


def _random_pair(text: str, argument: str, task: Task) -> Policy:
    probabilities = tuple(map(float, argument.split(",")))
    _check_choice(text, task)
    if len(probabilities) == 1:
        others = len(task.pairs) - 1
        probabilities = (*probabilities, *[(1 - probabilities[0]) / others] * others)
    _check_length(text, len(probabilities), task)
    return _random(probabilities)


def _random(probabilities: tuple[float, ...]) -> Policy:
    shown = ",".join(
        f"{p:.3g}" for p in (probabilities[:1] if len(probabilities) == 2 else probabilities)
    )
    return RandomPair(f"random:{shown}", probabilities)


def _simplex_grid(pairs: int) -> list[tuple[float, ...]]:
    """All probabilities that are multiples of 1/20, for four pairs or more of 1/8; with two pairs,
    0 and 1 are left out.
    """
    parts = 20 if pairs <= 3 else 8
    divisions = itertools.combinations(range(parts + pairs - 1), pairs - 1)
    counts = [
        [b - a - 1 for a, b in itertools.pairwise((-1, *bars, parts + pairs - 1))]
        for bars in divisions
    ]
    return [tuple(count / parts for count in each) for each in counts if pairs > 2 or all(each)]


def _fixed(text: str, argument: str, task: Task) -> Policy:
    weights = tuple(map(float, argument.split(",")))
    weights = (1.0, *weights) if len(weights) == 1 and len(task.pairs) == 2 else weights
    _check_length(text, len(weights), task)
    _check_weights(text, task)
    return FixedWeights(text, weights)


def _weighting(text: str, argument: str, task: Task) -> Policy:
    kind = text.partition(":")[0]
    options = weighting_options(kind, argument)
    if "pair" not in options:
        _check_weights(text, task)
    return weighting_policy(text, kind, options)


_BUILDERS: dict[str, Callable[[str, str, Task], Policy]] = {
    "ratio": _ratio,
    "round_robin": _ratio,
    "always": _always,
    "balance": _balance,
    "random": _random_pair,
    "fixed": _fixed,
    "without_penalty": _without_penalty,
    **{
        rule: lambda text, argument, task: threshold_rule(
            text.partition(":")[0], float(argument), task
        )
        for rule in RULES
    },
    **dict.fromkeys(WEIGHTINGS, _weighting),
}


def _weight_grid(text: str, task: Task, size: int | None) -> list[Policy]:
    """All combinations of `size` weights for every pair but the first, whose weight is 1."""
    others = len(task.pairs) - 1
    if others not in GRIDS:
        raise ValueError(
            f"policy {text!r}: this task has {others + 1} pairs; the grid is for 2 or 3. Use fixed:W1,W2,…"
        )
    _check_weights(text, task)
    least, most, default = GRIDS[others]
    weights = [
        (1.0, *map(float, each))
        for each in itertools.product(np.geomspace(least, most, size or default), repeat=others)
    ]
    return [
        FixedWeights("fixed:" + ",".join(f"{w:.3g}" for w in each[1 if others == 1 else 0 :]), each)
        for each in weights
    ]


def _check_choice(text: str, task: Task) -> None:
    if len(task.pairs) < 2:
        raise ValueError(
            f"policy {text!r}: this task has a single pair, there is nothing to choose"
        )


def _check_weights(text: str, task: Task) -> None:
    blocks = [block for pair in task.pairs for block in pair.blocks]
    if len(set(blocks)) == len(blocks):
        raise ValueError(
            f"policy {text!r}: every parameter block of {type(task).__name__} has one loss, and under Adam the weight of "
            "a lone loss changes nothing; use a policy that chooses pairs"
        )


def _check_length(text: str, length: int, task: Task) -> None:
    if length != len(task.pairs):
        names = ", ".join(pair.name for pair in task.pairs)
        raise ValueError(
            f"policy {text!r} has {length} parts, but the task has {len(task.pairs)} pairs: {names}"
        )
