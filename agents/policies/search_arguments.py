"""The reader of what follows the colon of a searched policy; imports nothing slow."""

from dataclasses import dataclass

from .arguments import Whole

_MOST_TRAINING_RUNS = 4_000_000  # their problems then have numbers that nothing else uses


@dataclass(frozen=True)
class Searched:
    """Reads a whole number, and after a comma the training runs of a search.

    Args:
        number: reads the first; `default` is taken where there is none.
        default: of the first number.
        training_runs: of the second.
    """

    number: Whole
    default: int
    training_runs: int

    def __call__(self, text: str) -> tuple[int, int]:
        first, comma, second = text.partition(",")
        number = self.number(first) if first else self.default
        if not comma:
            return number, self.training_runs
        return number, Whole(1, _MOST_TRAINING_RUNS)(second)
