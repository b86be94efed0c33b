"""What is chosen on training problems: a constant, a portfolio of constants, and a schedule."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from autoloss_gym.core.task import Task

from ...schedule_vectors import Evolution
from .player import Player

# Reach of the logarithms: weights by a factor of 55, step sizes by 7.4, either way.
WEIGHT_REACH = 4.0
STEP_REACH = 2.0
KNOTS = 3
_GENERATIONS = 10
_WIDTH = 0.5  # initial deviation of the search, in logarithms
_GRID_SHARE = 0.4  # of the budget: for the spread constants
_CONSTANT_SHARE = 0.2  # for the search around the best of them; the schedule has what is left
_FEWEST = 4  # problems on which anything is chosen


@dataclass
class Choices:
    """What was chosen, and its cost.

    Args:
        constants: (constants, 1, columns), the best one first; each next one adds most to the best
            of those before it, chosen for every problem by its own validation.
        schedule: knots (KNOTS, columns) that a search found around the best constant; this constant
            where it found no better one.
        constant_runs: training runs that the constants cost.
        schedule_runs: training runs that the schedule cost beyond these.
    """

    constants: np.ndarray
    schedule: np.ndarray
    constant_runs: int
    schedule_runs: int


def make_choices(player: Player, task: Task, count: int, budget: int, first_seed: int) -> Choices:
    """Choose on problems of the player's split.

    Args:
        player: plays on training problems.
        task: what is trained.
        count: constants beside the default training.
        budget: training runs that the choices may use, about.
        first_seed: number of the first problem; later choices meet other ones.
    """
    sign = 1 if task.score_metrics[0].minimize else -1
    grid = constants(count, len(task.pairs))
    num_problems = max(_FEWEST, round(_GRID_SHARE * budget) // len(grid))
    seeds = first_seed + np.arange(num_problems)
    played = player.schedules(grid, seeds)
    best = grid[np.argmin(sign * played["best_score"].mean(axis=1))]

    # The constant is searched too: else a schedule could win by being finer, not by its timing.
    search = _Search(player, sign, num_problems, next_seed=first_seed + num_problems)
    constant = search.improved(best, round(_CONSTANT_SHARE * budget))
    constant_runs = search.runs
    flat = np.repeat(constant, KNOTS, axis=0)
    schedule = search.improved(flat, round((1 - _GRID_SHARE - _CONSTANT_SHARE) * budget))

    found = player.schedules(constant[None], seeds)
    together = {name: np.concatenate([found[name], played[name]]) for name in played}
    order = portfolio(sign * together["best_score"], preference(together, task))
    return Choices(
        constants=np.concatenate([constant[None], grid])[order],
        schedule=schedule,
        constant_runs=(len(grid) + 1) * num_problems + constant_runs,
        schedule_runs=search.runs - constant_runs,
    )


def constants(count: int, columns: int) -> np.ndarray:
    """The default training, and evenly spread constants, (1 + count, 1, columns)."""
    reach = np.full(columns, WEIGHT_REACH)
    reach[-1] = STEP_REACH
    spread = qmc.Halton(columns, seed=0).random(count)
    return np.concatenate([np.zeros((1, columns)), (2 * spread - 1) * reach])[:, None]


def preference(figures: dict[str, np.ndarray], task: Task) -> np.ndarray:
    """What a run is chosen by, lower being better: its validation; a diverged one comes last."""
    sign = 1 if task.validation_metrics[0].minimize else -1
    return np.where(figures["diverged"] > 0, np.inf, sign * figures["best_validation"])


def portfolio(scores: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """The order in which constants are tried on a problem, (constants,), int64.

    The first stays; each next one lowers most the mean score of the run with the best validation.

    Args:
        scores: (constants, problems), lower being better.
        validation: of the same shape; the run with the lowest is kept.
    """
    order = [0]
    kept, reached = validation[0], scores[0]
    left = list(range(1, len(scores)))
    while left:
        better = validation[left] < kept
        chosen = int(np.argmin(np.where(better, scores[left], reached).mean(axis=1)))
        kept = np.where(better[chosen], validation[left[chosen]], kept)
        reached = np.where(better[chosen], scores[left[chosen]], reached)
        order.append(left.pop(chosen))
    return np.array(order)


def best_of(figures: dict[str, np.ndarray], count: int, task: Task) -> np.ndarray:
    """Scores (problems,) of the run with the best validation among the first `count` of each."""
    winners = np.argmin(preference(figures, task)[:count], axis=0)
    return figures["best_score"][winners, np.arange(len(winners))]


@dataclass
class _Search:
    """Searches by CMA-ES (Hansen 2016), in which every generation meets new problems.

    Args:
        player: plays the schedules.
        sign: 1 where a low score is good, −1 where a high one is.
        num_problems: problems on which what was found is compared with what it started from.
        next_seed: number of the first problem that has not been met.
        runs: training runs so far.
    """

    player: Player
    sign: int
    num_problems: int
    next_seed: int
    runs: int = 0

    def improved(self, start: np.ndarray, budget: int) -> np.ndarray:
        """The better one on new problems of `start` (knots, columns) and what is found around it.

        A budget that is too small for a generation finds nothing.
        """
        population = 4 + int(3 * np.log(start.size))
        problems = max(_FEWEST, budget // (population * _GENERATIONS))
        generations = budget // (population * problems)
        reach = np.full(start.shape, WEIGHT_REACH)
        reach[:, -1] = STEP_REACH
        centre = start.clip(-0.99 * reach, 0.99 * reach)  # not on the bounds themselves
        deviations = np.full(start.size, _WIDTH)
        evolution = Evolution(centre.ravel(), deviations, reach.ravel(), population)

        candidates = [start]
        for generation in range(generations):
            asked = evolution.ask().reshape(population, *start.shape)
            evolution.tell(self._costs(asked, problems))
            if generation in (generations // 2, generations - 1):
                candidates.append(evolution.centre.reshape(start.shape))
        if len(candidates) == 1:
            return start
        costs = self._costs(np.stack(candidates), self.num_problems)
        return candidates[int(np.argmin(costs))]

    def _costs(self, knots: np.ndarray, num_problems: int) -> np.ndarray:
        """Mean costs of schedules on new problems."""
        seeds = self.next_seed + np.arange(num_problems)
        self.next_seed += num_problems
        self.runs += len(knots) * num_problems
        return self.sign * self.player.schedules(knots, seeds)["best_score"].mean(axis=1)
