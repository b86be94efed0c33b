"""Static policies from their specifications: orders of pairs, probabilities and loss weights."""

import itertools

import numpy as np

from autoloss_gym.controllers.policies.fine_tuned import FineTuned
from autoloss_gym.controllers.policies.static import FixedWeights, RandomPair, Ratio
from autoloss_gym.core.task import Task
from autoloss_gym.tools.names import unknown

from .kinds import Specification
from .mixtures import Mixture
from .policy import Candidates, Setting
from .requirements import check_choice, check_length, check_weights

# Least and greatest R of a grid, and their number, for so many penalties.
GRIDS = {1: (1 / 16, 16.0, 20), 2: (1 / 16, 256.0, 13)}

SHARES = (0.2, 0.4, 0.5, 0.6, 0.8)  # of a training, which a mixture may last

_MOST_CANDIDATES = 10_000
_MOST_PAIRS_OF_A_GRID = 8  # whose probabilities are 6,435 combinations


# Orders of pairs


def build_round_robin(specification: Specification, setting: Setting) -> Ratio:
    """Every pair once."""
    return Ratio(specification.text, (1,) * len(setting.task.pairs))


def build_ratio(specification: Specification, setting: Setting) -> Ratio:
    """So many updates of each pair."""
    check_length(specification.text, len(specification.value), setting.task)
    return Ratio(specification.text, specification.value)


def build_ratios(specification: Specification, setting: Setting) -> Candidates:
    """The pairs equally often, or one of them up to eleven times as often as the other."""
    num_pairs = len(setting.task.pairs)
    if num_pairs != 2:
        raise ValueError(
            f"policy {specification.text!r}: this task has {num_pairs} pairs; the ratios "
            "are for 2. Use K:L:…"
        )

    policies = [Ratio("1:1", (1, 1))]
    for k in (3, 5, 7, 9, 11):
        policies.append(Ratio(f"1:{k}", (1, k)))
        policies.append(Ratio(f"{k}:1", (k, 1)))
    return Candidates(policies, "tuned")


def build_always(specification: Specification, setting: Setting) -> Ratio:
    """The pair of a loss, and no other."""
    names = [pair.name for pair in setting.task.pairs]
    loss = specification.value
    if loss not in names:
        raise ValueError(f"policy {specification.text!r}: {unknown('loss', loss, names)}")
    return Ratio(specification.text, tuple(int(name == loss) for name in names))


def build_without_penalty(specification: Specification, setting: Setting) -> Ratio:
    """The first pair alone, with the validation part among the training data."""
    task = setting.task
    if not task.can_train_on_validation:
        raise ValueError(
            f"policy {specification.text!r}: {type(task).__name__} has no argument "
            "train_on_validation"
        )
    return Ratio(
        specification.text,
        (1, *[0] * (len(task.pairs) - 1)),
        static=False,  # with more data than the others it is no fair reference
        env_arguments={"train_on_validation": True},
    )


# Probabilities


def build_random(specification: Specification, setting: Setting) -> RandomPair | Candidates:
    """The probabilities that were written, or a grid of them."""
    check_choice(specification.text, setting.task)
    num_pairs = len(setting.task.pairs)
    probabilities = specification.value
    if probabilities is None:
        if num_pairs > _MOST_PAIRS_OF_A_GRID:
            raise ValueError(
                f"policy {specification.text!r}: this task has {num_pairs} pairs; the grid is for "
                f"at most {_MOST_PAIRS_OF_A_GRID}. Use random:P1,P2,…"
            )
        return Candidates([_random_pair(each) for each in _simplex_grid(num_pairs)], "tuned")

    if isinstance(probabilities, Mixture):
        mixed = probabilities.probabilities
        check_length(specification.text, len(mixed), setting.task)
        return RandomPair(specification.text, mixed)
    if len(probabilities) == 1:
        others = num_pairs - 1
        share = (1 - probabilities[0]) / others
        probabilities = (*probabilities, *[share] * others)
    check_length(specification.text, len(probabilities), setting.task)
    return _random_pair(probabilities)


def build_fine_tuned(specification: Specification, setting: Setting) -> FineTuned | Candidates:
    """A mixture for the share of the training that was written, or for each of a few shares."""
    text, task = specification.text, setting.task
    probabilities = specification.value.mixture.probabilities
    check_length(text, len(probabilities), task)
    share = specification.value.share
    if share is not None:
        return FineTuned(text, probabilities, share, task.max_steps)
    policies = [
        FineTuned(f"{text},{each:g}", probabilities, each, task.max_steps) for each in SHARES
    ]
    return Candidates(policies, "tuned")


def _random_pair(probabilities: tuple[float, ...]) -> RandomPair:
    # Of two probabilities the first says all.
    shown = probabilities[:1] if len(probabilities) == 2 else probabilities
    return RandomPair(f"random:{_numbers(shown)}", probabilities)


def _simplex_grid(num_pairs: int) -> list[tuple[float, ...]]:
    """All probabilities that are multiples of 1/20, for four pairs or more of 1/8.

    With two pairs, 0 and 1 are left out.
    """
    parts = 20 if num_pairs <= 3 else 8
    places = parts + num_pairs - 1
    grid = []
    # Bars among so many places divide the rest into a count for each pair.
    for bars in itertools.combinations(range(places), num_pairs - 1):
        counts = [end - start - 1 for start, end in itertools.pairwise((-1, *bars, places))]
        if num_pairs > 2 or all(counts):
            grid.append(tuple(count / parts for count in counts))
    return grid


# Loss weights


def build_fixed(specification: Specification, setting: Setting) -> FixedWeights:
    """The weights that were written; a single one is that of the second of two losses."""
    weights = specification.value
    if len(weights) == 1 and len(setting.task.pairs) == 2:
        weights = (1.0, *weights)
    check_length(specification.text, len(weights), setting.task)
    check_weights(specification.text, setting.task)
    return FixedWeights(specification.text, weights)


def build_grid(specification: Specification, setting: Setting) -> Candidates:
    """A grid of weights, of which validation problems choose one."""
    return Candidates(_weight_grid(specification, setting.task), "tuned")


def build_grid_each(specification: Specification, setting: Setting) -> Candidates:
    """A grid of weights, of which each problem chooses its own."""
    return Candidates(_weight_grid(specification, setting.task), "each")


def _weight_grid(specification: Specification, task: Task) -> list[FixedWeights]:
    """All combinations of weights for every group of pairs but the first, whose weight is 1.

    A pair is a group of its own unless the task says otherwise.
    """
    groups = task.weight_groups
    others = len(groups) - 1
    if others not in GRIDS:
        raise ValueError(
            f"policy {specification.text!r}: this task has {others + 1} pairs; the grid is "
            "for 2 or 3. Use fixed:W1,W2,…"
        )
    check_weights(specification.text, task)

    least, most, default_size = GRIDS[others]
    size = specification.value or default_size
    if size**others > _MOST_CANDIDATES:
        raise ValueError(
            f"policy {specification.text!r}: {size**others:,} combinations; expected at most "
            f"{_MOST_CANDIDATES:,}: give a smaller N"
        )
    levels = np.geomspace(least, most, size)
    policies = []
    for penalties in itertools.product(levels.tolist(), repeat=others):
        by_name = {
            name: weight
            for names, weight in zip(groups, (1.0, *penalties), strict=True)
            for name in names
        }
        weights = tuple(by_name[pair.name] for pair in task.pairs)
        # Of two weights, fixed:R names the second alone.
        shown = penalties if len(weights) == 2 else weights
        policies.append(FixedWeights(f"fixed:{_numbers(shown)}", weights))
    return policies


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:.3g}" for value in values)
