"""The groups of features that are added, and logarithms, by values computed by hand."""

import math

import pytest
import torch

from autoloss_gym.core.task import Evaluation, Metric
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.features import LOG_BOUND, Features
from autoloss_gym.signals.groups import ADDED, GROUPS, Signals
from autoloss_gym.signals.history import History

PLAIN = RunDescription(
    pairs=("mse", "l1", "other"),
    validation_metrics=(Metric("mse"), Metric("size")),
    max_steps=20,
    validate_every=5,
    blocks=(("a", "b"), ("b",), ("c",)),
)
PARAMETERS = {
    "a": torch.tensor([[1.0, -3.0]]),
    "b": torch.tensor([[0.009, -0.009, 0.011, 0.0]]),
    "c": torch.tensor([[0.01]]),
}


def history(validation=(8.0, 1.0), best: float = 8.0, losses=(2.0, 4.0, 8.0)) -> History:
    values = torch.tensor([losses])
    evaluation = Evaluation(values, values, torch.ones(1, 3, dtype=torch.bool))
    made = History.start(evaluation, torch.tensor([validation]), memory=1)
    made.best = torch.tensor([best])
    return made


def only(*groups: str, scaling: str = "raw", description=PLAIN, **signals) -> list[float]:
    features = Features(description, scaling, drop=GROUPS, add=groups)
    made = {"history": history(), "extra": torch.zeros(1, 0), "parameters": PARAMETERS} | signals
    return features(Signals(**made))[0][0].tolist()


def gradients(*vectors: dict[str, list[float]]) -> tuple[dict[str, torch.Tensor], ...]:
    return tuple(
        {name: torch.tensor([values]) for name, values in each.items()} for each in vectors
    )


def test_sizes_are_mean_absolute_values_of_the_blocks_and_near_zero_is_below_a_hundredth():
    assert only("sizes") == pytest.approx([2.0, 0.00725, 0.01])
    assert only("sparsity") == pytest.approx([0.0, 0.75, 0.0])
    assert only("sizes", scaling="scaled")[0] == pytest.approx(math.tanh(math.log(2) / 4))
    assert only("sizes", scaling="log")[0] == pytest.approx(math.log(2))


def test_the_gap_is_the_logarithm_of_the_validation_metric_to_the_loss_of_its_name():
    assert only("gap") == pytest.approx([math.log(8 / 2)])
    assert only("gap", scaling="scaled") == pytest.approx([math.tanh(math.log(4))])
    assert only("gap", scaling="log", history=history(losses=(0.0, 1.0, 1.0))) == [20.0]


@pytest.mark.parametrize(
    ("minimize", "latest", "best", "expected"),
    [
        (True, 8.0, 8.0, 0.0),
        (True, 8.0, 2.0, math.log(4)),
        (False, 2.0, 8.0, math.log(4)),
        (True, -2.0, -8.0, math.log(4)),
        (True, 1.0, -1.0, math.log(3)),
        (True, 0.0, 0.0, 0.0),
        (True, 1.0, 0.0, math.log(1e8)),
        (True, 3e38, -3e38, math.log(3)),
    ],
)
def test_best_is_how_far_the_latest_is_behind_whatever_the_signs(minimize, latest, best, expected):
    described = RunDescription(
        pairs=("x",),
        validation_metrics=(Metric("m", minimize), Metric("n")),
        max_steps=4,
        validate_every=2,
    )
    made = history((latest, 0.0), best)
    found = only("best", description=described, history=made)
    assert found == pytest.approx([expected], rel=1e-5, abs=1e-6)


def test_gradient_noise_is_the_cosine_of_a_pairs_gradients_over_all_its_blocks():
    new = gradients({"a": [3.0, 0.0], "b": [0.0] * 3 + [4.0]}, {"b": [1.0] * 4}, {"c": [2.0]})
    old = gradients({"a": [3.0, 0.0], "b": [0.0] * 4}, {"b": [-2.0] * 4}, {"c": [0.0]})
    seen = {"next": new, "last": old}
    for scaling in ("raw", "scaled", "log"):
        found = only("gradient_noise", scaling=scaling, gradients=seen)
        assert found == pytest.approx([3 / 5, -1, 0])


def test_gradient_cosines_are_of_the_blocks_that_two_pairs_share():
    new = gradients({"a": [9.0, 9.0], "b": [1.0, 1, 0, 0]}, {"b": [0.0, 2, 0, 0]}, {"c": [1.0]})
    assert only("gradient_cosines", gradients={"next": new}) == pytest.approx([math.sqrt(0.5)])


@pytest.mark.parametrize("size", [1e-30, 1e30, float("inf"), float("nan")])
def test_cosines_of_extreme_gradients_are_finite(size):
    new = gradients({"a": [size, 1], "b": [size] * 4}, {"b": [size] * 4}, {"c": [1.0]})
    found = only("gradient_noise", "gradient_cosines", gradients={"next": new, "last": new})
    expected = 1.0 if math.isfinite(size) else 0.0
    assert found == pytest.approx([expected, expected, 1.0, expected])


def test_the_shift_is_shown_as_it_is_and_asked_for_without_one_is_refused():
    assert only("shift", shift=torch.tensor([[0.5, -1.0]]), scaling="log") == [0.5, -1.0]
    for shift in (None, torch.zeros(1, 0)):
        with pytest.raises(ValueError, match="add=\\['shift'\\]: no schedule is held"):
            only("shift", shift=shift)


def test_added_groups_follow_the_usual_ones_in_one_order():
    features = Features(PLAIN, add=("shift", "gap", "sizes"))
    assert features.groups == (*Features(PLAIN).groups, "sizes", "gap", "shift")
    assert set(GROUPS).isdisjoint(ADDED)


def test_logarithms_are_not_squashed_and_stay_in_their_box():
    features = Features(PLAIN, "log")
    made = history((8.0, -1e30), losses=(2.0, 0.0, math.exp(15)))
    made.averages[:, 1] = 2.0
    values, clipped = features(Signals(made, torch.tensor([[0.5]])))
    magnitudes = [math.log(2), -20, 15]
    ratios = [2 / 8, 2 / 1e30, 0, 0]
    expected = [0, *magnitudes, *magnitudes, *[math.log(8), 20] * 2, *ratios, 0.5]
    torch.testing.assert_close(values[0], torch.tensor(expected))
    assert clipped.tolist() == [4]  # a norm, a loss, a metric and its average
    assert features.bound() == LOG_BOUND == 20


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ("gap", r"no validation metric \(score\) has a loss \(mse, l1\) of the same name"),
        ("sizes", "names no parameter blocks"),
        ("sparsity", "names no parameter blocks"),
        ("gradient_cosines", "no two losses share parameters"),
        ("size", "expected some of sizes, sparsity"),
    ],
)
def test_a_group_that_the_runs_lack_is_refused_in_one_line(group, reason):
    described = RunDescription(
        pairs=("mse", "l1"), validation_metrics=(Metric("score"),), max_steps=4, validate_every=2
    )
    with pytest.raises(ValueError, match=rf"add=\['{group}'\]: .*{reason}") as caught:
        Features(described, add=(group,))
    assert "\n" not in str(caught.value)
