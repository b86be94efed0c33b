"""Figures that are compared by their ratios."""

import numpy as np
import pytest

from studies.ratios import geometric_mean, ratio


def test_ratios_are_paired_and_geometric():
    figures = np.array([[2.0, 8.0]])
    assert geometric_mean(figures).value == pytest.approx(4.0)
    found = ratio(np.array([[2.0, 8.0], [8.0, 32.0]]), figures)
    assert found.value == pytest.approx(2.0)  # 1 of one training, 4 of the other
    halves = ratio(figures / 2, figures)
    assert (halves.value, halves.low, halves.high) == pytest.approx((0.5, 0.5, 0.5))
