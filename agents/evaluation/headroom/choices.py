"""What is chosen on training problems: a constant, a portfolio of constants, and a schedule."""

from dataclasses import dataclass

import numpy as np
from cmaes import CMA
from scipy.stats import qmc

from .player import Player

# Reach of the logarithms: weights by a factor of 55, step sizes by 7.4, either way.
WEIGHT_REACH = 4.0
STEP_REACH = 2.0
KNOTS = 3
_GENERATIONS = 10
_WIDTH = 0.5  # initial deviation of the search, in logarithms
_FEWEST = 4  # problems on which anything is chosen


@dataclass
class Choices:
    """What was chosen, and its cost.

    Args:
        constants: (constants, 1, columns), the first with the best mean; each next one adds most to
            the best of those before it, chosen for every problem by its own validation.
        schedule: knots (KNOTS, columns) that the search found.
        base: the constant or the schedule, whichever was better on further problems.
        constant_runs: training runs that the constants cost.
        schedule_runs: training runs that the schedule cost beyond these.
    """

    constants: np.ndarray
    schedule: np.ndarray
    base: np.ndarray
    constant_runs: int
    schedule_runs: int

    @property
    def base_is_schedule(self) -> bool:
        return self.base is self.schedule


def make_choices(
    player: Player, columns: int, count: int, budget: int, first_seed: int, sign: int
) -> Choices:
    """Choose on problems of the player's split.

    Args:
        player: plays on training problems.
        columns: of a schedule.
        count: constants beside the default training.
        budget: training runs that the choices may use, about; half of them for the constants.
        first_seed: number of the first problem; later choices meet other ones.
        sign: 1 where a low score is good, −1 where a high one is.
    """
    grid = constants(count, columns)
    num_problems = max(_FEWEST, budget // 2 // len(grid))
    seeds = first_seed + np.arange(num_problems)
    played = player.schedules(grid, seeds)
    order = portfolio(sign * played["best_score"], preference(played, sign))
    constant = grid[order[0]]
    seed = first_seed + num_problems
    found, last_seed = _search(player, constant, budget - budget // 2, seed, sign)

    candidates = np.stack([np.repeat(constant, KNOTS, axis=0), *found])
    seeds = last_seed + np.arange(num_problems)
    means = sign * player.schedules(candidates, seeds)["best_score"].mean(axis=1)
    schedule = candidates[1 + np.argmin(means[1:])] if found else candidates[0]
    base = schedule if found and means[1:].min() < means[0] else candidates[0]
    searched = last_seed - seed  # population × problems of every generation
    return Choices(
        constants=grid[order],
        schedule=schedule,
        base=base,
        constant_runs=len(grid) * num_problems,
        schedule_runs=searched * _population(constant) + len(candidates) * num_problems,
    )


def constants(count: int, columns: int) -> np.ndarray:
    """The default training, and evenly spread constants, (1 + count, 1, columns)."""
    reach = np.full(columns, WEIGHT_REACH)
    reach[-1] = STEP_REACH
    spread = qmc.Halton(columns, seed=0).random(count)
    return np.concatenate([np.zeros((1, columns)), (2 * spread - 1) * reach])[:, None]


def preference(figures: dict[str, np.ndarray], sign: int) -> np.ndarray:
    """What a run is chosen by, lower being better: its validation; a diverged one comes last."""
    return np.where(figures["diverged"] > 0, np.inf, sign * figures["best_validation"])


def portfolio(scores: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """The order in which constants are tried on a problem, (constants,), int64.

    The first has the best mean score; each next one lowers most the mean score of the run with the
    best validation.

    Args:
        scores: (constants, problems), lower being better.
        validation: of the same shape; the run with the lowest is kept.
    """
    left = list(range(len(scores)))
    order: list[int] = []
    kept = np.full(scores.shape[1], np.inf)  # validation of the best run so far
    reached = np.full(scores.shape[1], np.inf)
    while left:
        better = (validation[left] < kept) | np.isinf(reached)
        means = np.where(better, scores[left], reached).mean(axis=1)
        chosen = int(np.argmin(means))
        kept = np.where(better[chosen], validation[left[chosen]], kept)
        reached = np.where(better[chosen], scores[left[chosen]], reached)
        order.append(left.pop(chosen))
    return np.array(order)


def best_of(figures: dict[str, np.ndarray], count: int, sign: int) -> np.ndarray:
    """Scores (problems,) of the run with the best validation among the first `count` of each."""
    winners = np.argmin(preference(figures, sign)[:count], axis=0)
    return figures["best_score"][winners, np.arange(len(winners))]


def _population(constant: np.ndarray) -> int:
    return 4 + int(3 * np.log(KNOTS * constant.shape[-1]))


def _search(
    player: Player, constant: np.ndarray, budget: int, first_seed: int, sign: int
) -> tuple[list[np.ndarray], int]:
    """Schedules around a constant by CMA-ES (Hansen 2016); every generation meets new problems.

    Returns:
        The mean at half and at the end of the search, and the number of the next unused problem.
        No schedule where the budget is too small for a single generation.
    """
    population = _population(constant)
    problems = max(_FEWEST, budget // (population * _GENERATIONS))
    generations = budget // (population * problems)
    reach = np.full((KNOTS, constant.shape[-1]), WEIGHT_REACH)
    reach[:, -1] = STEP_REACH
    bounds = np.stack([-reach.ravel(), reach.ravel()], axis=1)
    start = np.repeat(constant, KNOTS, axis=0).ravel()
    search = CMA(start, _WIDTH, bounds=bounds, seed=0, population_size=population)

    found = []
    for generation in range(generations):
        asked = np.stack([search.ask() for _ in range(population)])
        seeds = first_seed + generation * problems + np.arange(problems)
        knots = asked.reshape(population, KNOTS, -1)
        costs = sign * player.schedules(knots, seeds)["best_score"].mean(axis=1)
        search.tell(list(zip(asked, costs.tolist(), strict=True)))
        if generation in (generations // 2, generations - 1):
            found.append(search.mean.reshape(KNOTS, -1).copy())
    return found, first_seed + generations * problems
