"""Tables in Markdown, as the studies and benchmarks print them."""

from collections.abc import Iterable, Sequence

import numpy as np

from agents.evaluation.statistics import Estimate


def table(header: Sequence[str], rows: Iterable[Sequence[str]], num_left: int = 1) -> str:
    """A table whose first `num_left` columns are aligned left, and the others right."""
    rule = ["---"] * num_left + ["---:"] * (len(header) - num_left)
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def interval(estimate: Estimate, form: str = ".3f") -> str:
    """A figure with its 95 % interval, such as "1.500 [1.000, 2.000]"."""
    value = f"{estimate.value:{form}}"
    if estimate.low == estimate.high:  # a single figure has no interval
        return value
    return f"{value} [{estimate.low:{form}}, {estimate.high:{form}}]"


def quartiles(values: np.ndarray, form: str = ".2f") -> str:
    """The median of measurements with their quartiles, such as "1.00 [0.98, 1.03]"."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:{form}} [{low:{form}}, {high:{form}}]"


def sample_size(figures: np.ndarray) -> str:
    """The size of figures (training seeds, runs), such as "5×20", or "20" of a single training."""
    trainings, runs = figures.shape
    return f"{trainings}×{runs}" if trainings > 1 else str(runs)
