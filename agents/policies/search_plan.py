"""How a search spends its budget of training runs."""

import math
from dataclasses import dataclass

_POPULATION = 24
_PROBLEMS = 24  # of a generation, where the budget allows
_GENERATIONS = 20  # fewer problems are played before there are fewer generations
_FEWEST_PROBLEMS = 4


@dataclass(frozen=True)
class Plan:
    """How a search spends its training runs.

    Args:
        population: schedules of a generation.
        problems: those of a generation, new ones each time and the same for all its schedules.
        generations: their number.
    """

    population: int
    problems: int
    generations: int

    @property
    def training_runs(self) -> int:
        return self.population * self.problems * self.generations

    @property
    def all_problems(self) -> int:
        return self.problems * self.generations

    @classmethod
    def within(cls, training_runs: int, size: int) -> "Plan":
        """The search of at most so many training runs for a vector of so many entries.

        Raises:
            ValueError: the runs do not suffice for a single generation.
        """
        population = max(_POPULATION, 4 + math.floor(3 * math.log(size)))
        fewest = population * _FEWEST_PROBLEMS
        if training_runs < fewest:
            raise ValueError(
                f"a search in {training_runs:,} training runs: expected at least {fewest:,}, one "
                f"generation of {population} schedules on {_FEWEST_PROBLEMS} problems"
            )
        problems = training_runs // (population * _GENERATIONS)
        problems = min(max(problems, _FEWEST_PROBLEMS), _PROBLEMS)
        return cls(population, problems, training_runs // (population * problems))
