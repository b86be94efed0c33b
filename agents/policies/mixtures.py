"""Readers of mixtures of pairs, written as numbers in proportion; imports nothing slow."""

from dataclasses import dataclass

from . import arguments
from .arguments import Number

_PROPORTION = Number(1e-9, 1e9)
_SHARE = Number(0, 1)


@dataclass(frozen=True)
class Mixture:
    """How often each pair is drawn, relative to the others.

    Args:
        numbers: a positive one for each pair, such as the sizes of their data.
    """

    numbers: tuple[float, ...]

    @property
    def probabilities(self) -> tuple[float, ...]:
        """The same, with sum 1."""
        total = sum(self.numbers)
        return tuple(number / total for number in self.numbers)


@dataclass(frozen=True)
class FineTuning:
    """A mixture, and for which share of a training it is drawn; None where that is to be chosen."""

    mixture: Mixture
    share: float | None = None


def mixture(text: str) -> Mixture:
    """A number for each pair, as in 102736:23999:40175."""
    numbers = tuple(_PROPORTION(part) for part in text.split(":"))
    if len(numbers) < 2:
        raise ValueError("it needs a number for each of at least two pairs")
    return Mixture(numbers)


def fine_tuning(text: str) -> FineTuning:
    """The same, and after a comma the share of the training."""
    numbers, comma, share = text.partition(",")
    return FineTuning(mixture(numbers), _SHARE(share) if comma else None)


def probabilities_or_mixture(text: str) -> tuple[float, ...] | Mixture:
    """Probabilities divided by commas, or numbers in proportion divided by colons."""
    return mixture(text) if ":" in text else arguments.probabilities(text)
