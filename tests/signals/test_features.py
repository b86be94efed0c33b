import math
from dataclasses import replace

import pytest
import torch

from autoloss_gym.core.task import Evaluation
from autoloss_gym.environment.runs import describe
from autoloss_gym.signals.features import RAW_BOUND, Features
from autoloss_gym.signals.groups import GROUPS, Signals
from autoloss_gym.signals.history import History
from tests.support.toy_tasks import SMALL, TwoBlocks

ORDER = [
    "progress",
    "gradient_norms",
    "losses",
    "validation",
    "average",
    "difference",
    "second_difference",
]
WITH_PATIENCE = replace(SMALL, patience=4)


def history(pairs: int = 2, **changes: torch.Tensor) -> History:
    """One run at step 5, after validations 10 and 8."""
    losses = torch.arange(1.0, pairs + 1)[None] * 3
    evaluation = Evaluation(
        losses=losses, gradient_norms=losses / 100, measured=torch.ones(1, pairs, dtype=torch.bool)
    )
    made = History.start(evaluation, torch.tensor([[10.0]]), memory=1)
    made.record_validation(torch.tensor([[8.0]]), torch.tensor([True]), minimize=True)
    made.steps += 5
    return replace(made, **changes)


def no_extras() -> torch.Tensor:
    return torch.zeros(1, 0)


def numbers(features: Features, made: History, extra: torch.Tensor | None = None) -> torch.Tensor:
    return features(Signals(made, no_extras() if extra is None else extra))[0][0]


def test_raw_features_are_the_numbers_of_the_paper_in_the_documented_order():
    values = numbers(
        Features(describe(WITH_PATIENCE), "raw"),
        history(since_best=torch.tensor([1])),
        torch.tensor([[0.5]]),
    )
    validation = [8.0, 9.8, -0.2, -0.2]
    expected = [5 / 20, 0.03, 0.06, 3, 6, *validation, math.log(0.5), 0.5, 1 - 1 / 4, 0.5]
    torch.testing.assert_close(values, torch.tensor(expected))


def test_scaled_features_are_the_documented_transforms():
    values = numbers(
        Features(describe(WITH_PATIENCE)),
        history(since_best=torch.tensor([1])),
        torch.tensor([[0.5]]),
    )
    magnitudes = [math.tanh(math.log(x) / 4) for x in (0.03, 0.06, 3, 6, 8, 9.8)]
    difference = math.tanh(20 * -0.2 / 9.8)
    ratios = [math.tanh(math.log(0.5) / 4)] * 2
    torch.testing.assert_close(
        values, torch.tensor([0.25, *magnitudes, difference, difference, *ratios, 0.75, 0.5])
    )


def test_groups_are_those_that_the_task_has():
    assert list(Features(describe(SMALL)).groups) == [*ORDER, "norm_ratio", "loss_ratio", "extra"]
    assert list(Features(describe(WITH_PATIENCE)).groups) == list(GROUPS)
    assert list(Features(describe(TwoBlocks())).groups) == [*ORDER, "extra"]


@pytest.mark.parametrize("scaling", ["raw", "scaled"])
@pytest.mark.parametrize("group", GROUPS)
def test_a_dropped_group_is_missing_and_the_others_stay(group, scaling):
    made, extra = history(), torch.tensor([[0.5]])
    alone = numbers(
        Features(describe(WITH_PATIENCE), scaling, tuple(name for name in GROUPS if name != group)),
        made,
        extra,
    )
    without = numbers(Features(describe(WITH_PATIENCE), scaling, (group,)), made, extra)
    everything = numbers(Features(describe(WITH_PATIENCE), scaling), made, extra)
    start = sum(
        2 if name in ("gradient_norms", "losses") else 1 for name in GROUPS[: GROUPS.index(group)]
    )
    assert torch.equal(everything[start : start + len(alone)], alone)
    assert torch.equal(torch.cat([everything[:start], everything[start + len(alone) :]]), without)


def test_raw_features_are_clipped_to_their_box_and_counted():
    made = history(losses=torch.tensor([[1e9, 3.0]]), validation=torch.tensor([[-1e7]]))
    values, clipped = Features(describe(SMALL), "raw")(Signals(made, no_extras()))
    bound = Features(describe(SMALL), "raw").bound()
    assert bound == RAW_BOUND
    assert values.abs().max() == bound
    assert values[0, 3] == bound
    assert values[0, 5] == -bound
    assert clipped.tolist() == [3]  # a loss, the metric, and the ratio of the losses


def test_nothing_is_counted_as_clipped_within_the_box_or_where_features_are_scaled():
    assert Features(describe(SMALL), "raw")(Signals(history(), no_extras()))[1].tolist() == [0]
    signals = Signals(history(losses=torch.tensor([[1e9, 3.0]])), no_extras())
    assert Features(describe(SMALL))(signals)[1] is None


@pytest.mark.parametrize("scaling", ["raw", "scaled"])
@pytest.mark.parametrize("value", [0.0, 1e-30, -1e-30, 1e30, -1e30, 3e38])
def test_features_of_extreme_numbers_are_finite_and_within_the_box(scaling, value):
    pair, metric = torch.full((1, 2), value), torch.full((1, 1), value)
    metrics = {"validation": metric, "averages": torch.full((1, 3, 1), value)}
    features = Features(describe(SMALL), scaling)
    values = numbers(features, history(losses=pair, gradient_norms=pair.abs(), **metrics))
    assert torch.isfinite(values).all()
    assert values.abs().max() <= features.bound()


def test_equal_factors_are_equal_steps_of_a_scaled_magnitude_before_the_tanh():
    losses = [
        numbers(Features(describe(SMALL)), history(losses=torch.tensor([[x, 1.0]])))[3]
        for x in (0.1, 1.0, 10.0)
    ]
    low, middle, high = (float(torch.atanh(loss)) for loss in losses)
    assert middle == 0
    assert high == pytest.approx(-low, rel=1e-4) == pytest.approx(math.log(10) / 4, rel=1e-4)


def test_an_unknown_scaling_or_group_is_refused():
    with pytest.raises(
        ValueError, match=r"drop=\['loss'\]: expected some, but not all, of progress"
    ):
        Features(describe(SMALL), drop=("loss",))
    with pytest.raises(ValueError, match=r"features='ln': expected 'scaled'.*'log'"):
        Features(describe(SMALL), "ln")
