"""One run of the user's function: seeded, checked, and as plain values."""

import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from autoloss_gym.tools.names import one_line, shown

from .rules import Named

Train = Callable[[Any, int], Any]

_LONGEST = 300  # characters of an error of the user's


class TrainError(RuntimeError):
    """The user's function failed; its own error is chained."""


@dataclass(frozen=True)
class Run:
    """What one call of the user's function gave.

    Args:
        label: name of the rule.
        key: the rule's class and arguments.
        seed: of the call.
        score: NaN or infinite for a run that failed.
        figures: what else it returned.
        seconds: that it took.
    """

    label: str
    key: str
    seed: int
    score: float
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether there is no finite score."""
        return not math.isfinite(self.score)


def play(train: Train, named: Named, seed: int) -> Run:
    """Call the user's function with a fresh rule and a seed.

    Raises:
        TrainError: it raised something, or returned no score; one line with rule and seed.
    """
    where = f"train failed with rule {named.label!r} and seed {seed}"
    rule = named.fresh(seed)
    start = time.perf_counter()
    with seeded(seed):
        try:
            returned = train(rule, seed)
        except Exception as error:
            said = one_line(f"{type(error).__name__}: {error}", _LONGEST)
            raise TrainError(f"{where}: {said}") from error
    seconds = time.perf_counter() - start
    try:
        score, figures = _read(returned)
    except ValueError as error:
        raise TrainError(f"{where}: {error}") from None
    return Run(named.label, named.key, seed, score, figures, seconds)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the generators of torch, NumPy and Python, and gives them back as they were."""
    # Asking for the state of a GPU would begin to use it.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(list(devices)):
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


def _read(returned: Any) -> tuple[float, dict[str, float]]:
    """The score, and the other figures by name."""
    if not isinstance(returned, Mapping):
        return _number("it", returned), {}
    if "score" not in returned:
        raise ValueError(f"it returned {shown(returned)}: expected a 'score' in it")
    figures = {}
    for name, value in returned.items():
        if not isinstance(name, str):
            raise ValueError(f"it returned a figure named {shown(name)}: expected text")
        figures[name] = _number(f"its {name!r}", value)
    return figures.pop("score"), figures


def _number(what: str, value: Any) -> float:
    if isinstance(value, torch.Tensor):
        value = value.detach()  # with a graph, the conversion would warn
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"{what} is {shown(value)}: expected a number, or a dict with the number 'score'"
        ) from None
