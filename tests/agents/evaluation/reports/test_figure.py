"""The picture of a benchmark."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from agents.evaluation.entrants import Entrant
from agents.evaluation.reports import figure as module
from agents.evaluation.reports.score_axes import GRAY, _log_ticks
from agents.evaluation.results import make_row
from agents.evaluation.rollout import Episodes
from agents.evaluation.rows import Benchmark
from agents.policies.balance import Balance
from autoloss_gym.controllers.policies.static import Ratio
from autoloss_gym.core.task import Metric


def row(label, mean, reactive=False, num_pairs=2, minimize=True):
    scores = mean + np.array([-0.02, 0.0, 0.02])
    names = ("best_score", "score")
    figures = dict.fromkeys(names, scores) | {
        name: np.zeros(3, dtype=bool) for name in ("diverged", "collapsed")
    }
    shares = np.tile(np.arange(1, num_pairs + 1) / sum(range(num_pairs + 1)), (50, 1))
    policy = Balance(label) if reactive else Ratio(label, (1,) * num_pairs)
    entrant = Entrant(label, [policy])
    return make_row(entrant, [policy], [Episodes(figures, shares)], None, [Metric("m", minimize)])


def benchmark(means, num_pairs=2, minimize=True, reactive=()):
    rows = [
        row(f"p{index}", mean, index in reactive, num_pairs, minimize)
        for index, mean in enumerate(means)
    ]
    rows.sort(key=lambda each: each.mean.value * (1 if minimize else -1))
    pairs = [f"loss_{index}" for index in range(num_pairs)]
    return Benchmark(rows, Metric("m", minimize), "p0", np.arange(3), pairs, "problems")


def score_axes(result):
    figure = Figure()
    module._draw_scores(figure, result, module._styles(result))
    return figure.axes


def drawn_points(axes):
    """(score, place) of the means that lie within the axes' limits."""
    points = [line.get_xydata()[0] for line in axes.lines if line.get_marker() in ("o", "s", "^")]
    low, high = axes.get_xlim()
    return [(float(x), float(y)) for x, y in points if y == int(y) and low <= x <= high]


@pytest.mark.parametrize(
    ("means", "minimize", "parts"),
    [
        ([1.0, 1.1, 1.2, 1.3], True, 1),
        ([1.0, 1.1, 1.2, 1.3, 90.0], True, 2),
        ([9.0, 8.9, 8.8, 8.7, 1.0], False, 2),
        ([-1.0, -1.1, -1.2, 90.0], True, 2),
        ([0.1, 0.3, 0.9, 3.0, 9.0, 30.0], True, 1),  # wide all over: one logarithmic axis
    ],
)
def test_every_policy_is_drawn_with_its_interval(means, minimize, parts):
    axes = score_axes(benchmark(means, minimize=minimize))
    assert len(axes) == parts
    seen = {place for each in axes for _, place in drawn_points(each)}
    assert seen == set(range(len(means)))
    for each in axes:
        low, high = each.get_xlim()
        for score, place in drawn_points(each):
            ends = next(
                line.get_xdata() for line in each.lines
                if len(line.get_xdata()) == 2 and tuple(line.get_ydata()) == (place, place)
            )  # fmt: skip
            assert low <= min(ends) <= score <= max(ends) <= high


def test_the_parts_of_a_broken_axis_share_no_score_and_the_near_part_is_wide():
    near, far = score_axes(benchmark([1.0, 1.1, 1.2, 1.3, 50.0, 90.0]))
    assert near.get_xlim()[1] < far.get_xlim()[0]
    assert near.get_xlim()[1] < 2
    assert near.get_position().width > 2 * far.get_position().width
    far, near = score_axes(benchmark([9.0, 8.9, 8.8, 8.7, 1.0, 0.9], minimize=False))
    assert far.get_xlim()[1] < near.get_xlim()[0]


def test_a_wide_spread_of_positive_scores_has_a_logarithmic_axis_that_says_so():
    (axes,) = score_axes(benchmark([0.1, 0.3, 0.9, 3.0, 9.0, 30.0]))
    assert axes.get_xscale() == "log"
    assert axes.get_title(loc="right") == "log scale"
    (axes,) = score_axes(benchmark([1.0, 1.1, 1.2]))
    assert axes.get_xscale() == "linear"
    assert axes.get_title(loc="right") == ""


@pytest.mark.parametrize(
    ("num_pairs", "labels"),
    [
        (1, []),
        (2, ["share of loss_0\n(the rest is loss_1)"]),
        (3, ["loss_0", "loss_1", "loss_2"]),
        (4, ["loss_0", "loss_1", "loss_2", "loss_3"]),
    ],
)
def test_the_schedules_show_the_share_of_every_pair(num_pairs, labels):
    result = benchmark([1.0, 1.1], num_pairs, reactive=[1])
    figure = Figure()
    module._draw_curves(figure, result, module._styles(result))
    *schedules, profiles = figure.axes
    assert [axes.get_ylabel() for axes in schedules] == labels
    for index, axes in enumerate(schedules):
        share = (index + 1) / sum(range(num_pairs + 1))
        assert len(axes.lines) == 2
        for line in axes.lines:
            np.testing.assert_allclose(line.get_ydata(), share)
    assert profiles.get_ylabel() == "share of runs at least this good"


def test_the_reference_is_black_reactive_policies_are_told_apart_and_others_are_gray():
    result = benchmark(np.linspace(1, 2, 16), reactive=range(1, 15))
    styles = module._styles(result)
    assert styles["p0"] == module._Style("black")
    assert styles["p15"].color == GRAY
    reactive = [styles[f"p{index}"] for index in range(1, 15)]
    assert len({(style.color, style.marker) for style in reactive}) == 14
    assert len({(style.color, style.dashes) for style in reactive}) == 14


@pytest.mark.parametrize(
    ("low", "high", "count"), [(0.3, 9, 6), (1e-4, 2e3, 3), (2.1, 11.0, 3), (1, 5.1, 6)]
)
def test_logarithmic_ticks_are_few_round_numbers_between_the_ends(low, high, count):
    ticks = _log_ticks(low, high, count)
    assert 2 <= len(ticks) <= count
    assert all(low <= tick <= high for tick in ticks)
