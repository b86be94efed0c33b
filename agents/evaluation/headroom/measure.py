"""The measurement: choices on training problems, figures on validation problems."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from autoloss_gym.core.task import Metric, Task

from ...environments import SEED_SPACING
from .choices import Choices, best_of, make_choices, preference
from .player import Player
from .rule import cross_fitted

COUNTS = (1, 5, 20, 50)  # constants that a problem may try
_WEIGHT_SHIFTS = (0.0, -2.0, -0.7, 0.7, 2.0)
_STEP_SHIFTS = (0.0, -0.7, 0.7)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is played.

    Args:
        episodes: validation problems.
        constants: constants beside the default training.
        budget: training runs for the choices.
        moments: shares of the budget of a run at which it is cloned.
        seed: numbers the problems.
    """

    episodes: int = 200
    constants: int = 50
    budget: int = 2000
    moments: tuple[float, ...] = (0.2, 0.5, 0.8)
    seed: int = 0


@dataclass
class Reaction:
    """What was found at one moment of the clone; scores are (problems,).

    Args:
        moment: share of the budget.
        clairvoyant: the shift that is best for each problem by its score.
        tried: the shift that is best by its own validation at the end: a run of what is left each.
        fitted: the shift that a rule chooses which was fitted to other problems.
        blind: the single shift that is best for other problems.
        runs: training runs that a problem's clones cost, the cloned one included.
    """

    moment: float
    clairvoyant: np.ndarray
    tried: np.ndarray
    fitted: np.ndarray
    blind: np.ndarray
    runs: float


@dataclass
class Headroom:
    """All scores of a measurement, (problems,) each.

    Args:
        metric: what was scored.
        draw: whether weights were probabilities of pairs.
        pairs: names of the pairs.
        choices: what was chosen on training problems.
        instances: the numbers that name the problems.
        default: all weights and the step size 1.
        constant: the best constant.
        schedule: the searched schedule, whose running trainings are cloned.
        best_of: by the number of constants that each problem tried.
        reactions: by moment.
        noun: "problems" or "resamples".
    """

    metric: Metric
    draw: bool
    pairs: list[str]
    choices: Choices
    instances: np.ndarray
    default: np.ndarray
    constant: np.ndarray
    schedule: np.ndarray
    best_of: dict[int, np.ndarray]
    reactions: list[Reaction]
    noun: str = "problems"
    remarks: list[str] = field(default_factory=list)

    @property
    def sign(self) -> int:
        return 1 if self.metric.minimize else -1

    @property
    def best_blind(self) -> np.ndarray:
        """The schedule, or that with the blind shift of a moment: whichever has the best mean.

        What was searched with few runs is not the best schedule; what one shift for all
        problems mends is no gain of reacting.
        """
        ways = [self.schedule, *(each.blind for each in self.reactions)]
        return ways[int(np.argmin([self.sign * scores.mean() for scores in ways]))]


def measure(task: Task, make_player: Callable[[str, str], Player], sizes: Sizes) -> Headroom:
    """Measure what could be gained on the problems of a task.

    Args:
        task: what is trained.
        make_player: (split, what is being done) → player.
        sizes: how much is played.
    """
    first_seed = sizes.seed * SEED_SPACING
    choosing = make_player("train", "choosing a constant and a schedule on training problems")
    choices = make_choices(choosing, task, sizes.constants, sizes.budget, first_seed)

    seeds = first_seed + np.arange(sizes.episodes)
    player = make_player("validation", "playing the constants on validation problems")
    grid = player.schedules(choices.constants, seeds)
    default = _place_of_default(choices.constants)
    player = make_player("validation", "playing the schedule on validation problems")
    schedule = player.schedules(choices.schedule[None], seeds)["best_score"][0]
    constant = grid["best_score"][0]
    counts = [count for count in COUNTS if count <= len(choices.constants)]
    player = make_player("validation", "cloning and shifting runs of validation problems")
    return Headroom(
        metric=task.score_metrics[0],
        draw=player.draw,
        pairs=[pair.name for pair in task.pairs],
        choices=choices,
        instances=grid["instance"][0],
        default=grid["best_score"][default],
        constant=constant,
        schedule=schedule,
        best_of={count: best_of(grid, count, task) for count in counts},
        reactions=_react(task, player, choices.schedule, seeds, sizes.moments),
        noun=task.instances,
    )


def shifts(columns: int) -> np.ndarray:
    """What may be added to a schedule, (shifts, columns); the first is nothing.

    With at most two pairs it is a grid of weights and step sizes; else one column at a time is
    shifted, so that there are not too many.
    """
    levels = [_WEIGHT_SHIFTS] * (columns - 1) + [_STEP_SHIFTS]
    if columns <= 2:
        grids = np.meshgrid(*levels, indexing="ij")
        return np.stack([grid.ravel() for grid in grids], axis=1)
    star = [np.zeros(columns)]
    for column, values in enumerate(levels):
        for value in values[1:]:
            star.append(value * np.eye(columns)[column])
    return np.stack(star)


def moments_of(task: Task, shares: tuple[float, ...]) -> tuple[int, ...]:
    """Updates before the clones, each where a validation is due and some updates are left.

    Raises:
        ValueError: two shares fall on the same update.
    """
    last = task.max_steps - task.validate_every
    moments = []
    for share in shares:
        step = round(share * task.max_steps / task.validate_every) * task.validate_every
        moments.append(min(max(step, task.validate_every), last))
    if len(set(moments)) < len(moments) or moments[0] < 1 or moments != sorted(moments):
        raise ValueError(
            f"--moments {' '.join(map(str, shares))}: expected ascending shares of the budget that "
            f"fall on different validations; a run of this task has {task.max_steps} updates and "
            f"is validated every {task.validate_every}"
        )
    return tuple(moments)


def _place_of_default(constants: np.ndarray) -> int:
    """The place of the default training among the constants."""
    return int(np.argmin(np.abs(constants).sum(axis=(1, 2))))


def _react(
    task: Task,
    player: Player,
    base: np.ndarray,
    seeds: np.ndarray,
    shares: tuple[float, ...],
) -> list[Reaction]:
    sign = 1 if task.score_metrics[0].minimize else -1
    moments = moments_of(task, shares)
    shifted = shifts(len(task.pairs))
    played = player.branches(base, shifted, moments, seeds)
    everyone = np.arange(len(seeds))
    reactions = []
    for place, moment in enumerate(moments):
        figures = {name: played[name][place] for name in ("best_validation", "diverged")}
        scores = played["best_score"][place].astype(np.float64)
        fitted, blind = cross_fitted(played["observations"][place], sign * scores)
        tried = np.argmin(preference(figures, task), axis=0)
        reactions.append(
            Reaction(
                moment=moment / task.max_steps,
                clairvoyant=sign * (sign * scores).min(axis=0),
                tried=scores[tried, everyone],
                fitted=scores[fitted, everyone],
                blind=scores[blind, everyone],
                runs=1 + (len(shifted) - 1) * (1 - moment / task.max_steps),
            )
        )
    return reactions
