"""The reward of an online controller, from the validations that it is shown."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from autoloss_gym.core.task import Metric

_MOST = 100.0  # of a reward: a floor that is small beside the metric would pay millions


class SegmentGains:
    """Pays a segment's gain relative to the mean of the last ones, as `Improvement` does.

    At the end of every segment of T = `segment` updates a run earns

        (P_t − P_{t−T}) / max((P_t − P_{t−kT}) / k, `floor`),

    at most 100 in size, where P is the latest validation metric, negated where it is minimised, and
    k = `window`. A metric counts for no less than its declared worst value. One that is not finite
    counts for that, or where none is declared pays nothing.

    Args:
        metric: the one that decides.
        segment, window, floor: T, k and the least denominator.
    """

    def __init__(self, metric: Metric, segment: int, window: int, floor: float) -> None:
        self._metric = metric
        self._segment = segment
        self._window = window
        self._floor = floor
        self._ended: np.ndarray | None = None  # segments of each run, (num_envs,)
        self._past: np.ndarray | None = None  # P at their ends, newest first, (num_envs, window)

    def pay(self, steps: np.ndarray, metric: np.ndarray) -> np.ndarray:
        """The rewards of all runs since the last call; 0 in the first one.

        Args:
            steps: updates of each run so far, (num_envs,).
            metric: its latest value, (num_envs,).

        Returns:
            (num_envs,), float32, finite.
        """
        ended = steps // self._segment
        if self._past is None:
            goodness = self._goodness(metric, np.zeros(len(steps)))
            self._ended, self._past = ended, goodness[:, None].repeat(self._window, axis=1)
            return np.zeros(len(steps), dtype=np.float32)

        due = ended > self._ended
        goodness = self._goodness(metric, self._past[:, 0])
        gain = goodness - self._past[:, 0]
        mean_gain = (goodness - self._past[:, -1]) / self._window
        rewards = np.clip(gain / np.maximum(mean_gain, self._floor), -_MOST, _MOST)
        shifted = np.concatenate([goodness[:, None], self._past[:, :-1]], axis=1)
        self._past = np.where(due[:, None], shifted, self._past)
        self._ended = ended
        return np.where(due, rewards, 0.0).astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """The segments so far, and what they ended with."""
        return {"ended": self._ended, "past": self._past}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken."""
        self._ended, self._past = state["ended"], state["past"]

    def _goodness(self, metric: np.ndarray, instead: np.ndarray) -> np.ndarray:
        """P in float64, and `instead` where it is not known."""
        values = metric.astype(np.float64)
        worst = self._metric.worst
        if np.isfinite(worst):
            values = np.where(np.isfinite(values), values, worst)
            bound = np.minimum if self._metric.minimize else np.maximum
            values = bound(values, worst)
        goodness = -values if self._metric.minimize else values
        return np.where(np.isfinite(goodness), goodness, instead)
