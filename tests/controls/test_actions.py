import numpy as np
import pytest
import torch
from gymnasium import spaces

from autoloss_gym.controls import ChoosePair, ScaleStep, WeighLosses
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import Control, Pair
from autoloss_gym.environment.runs import describe
from tests.support.toy_tasks import SMALL, TwoBlocks

CPU = torch.device("cpu")


class Separate(TwoBlocks):
    """Every block has one pair."""

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return super().pairs[:2]


def control(kind, actions, task: GradientTask = SMALL, num_envs: int | None = None) -> Control:
    return kind(describe(task), actions, len(actions) if num_envs is None else num_envs, CPU)


@pytest.mark.parametrize(
    "convert", [np.array, torch.tensor, list, lambda x: np.array(x, dtype=np.uint8)]
)
def test_choosing_a_pair_gives_it_weight_one_and_the_others_none(convert):
    made = control(ChoosePair(), convert([2, 0, 1]), TwoBlocks())
    assert made.weights.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert made.step_size.tolist() == [1, 1, 1]
    assert made.choice.tolist() == [2, 0, 1]


def test_a_choice_is_a_copy_of_the_actions():
    actions = np.array([0, 1])
    made = control(ChoosePair(), actions)
    actions[:] = 1
    assert made.choice.tolist() == [0, 1]


def test_the_space_of_choices_is_discrete():
    assert ChoosePair().action_space(describe(TwoBlocks())) == spaces.Discrete(3)


@pytest.mark.parametrize("bad", [-1, 2])
def test_a_choice_out_of_range_is_refused_with_the_number_of_its_environment(bad):
    with pytest.raises(
        ValueError, match=f"environments 1, 3 .first: {bad}.: expected integers from 0 to 1"
    ):
        control(ChoosePair(), np.array([0, bad, 1, bad]))


@pytest.mark.parametrize(
    "actions", [np.array([0.0, 1.0]), np.array([True, False]), np.array(["0", "1"])]
)
def test_choices_that_are_not_integers_are_refused(actions):
    with pytest.raises(ValueError, match="expected integers from 0 to 1"):
        control(ChoosePair(), actions)


@pytest.mark.parametrize(
    ("kind", "actions", "expected"),
    [
        (ChoosePair(), np.array([0, 1]), r"\(3,\), one Discrete"),
        (WeighLosses(), np.zeros((3, 3)), r"\(3, 2\), one Box"),
        (WeighLosses(), np.zeros((2, 2)), r"\(3, 2\), one Box"),
    ],
)
def test_actions_of_another_shape_are_refused(kind, actions, expected):
    with pytest.raises(ValueError, match=f"expected {expected} action for each environment"):
        control(kind, actions, num_envs=3)


@pytest.mark.parametrize("convert", [np.array, torch.tensor, list])
def test_an_entry_a_is_the_weight_wide_to_the_a(convert):
    made = control(WeighLosses(normalize=None, wide=100.0), convert([[-1.0, 1.0], [0.0, 0.5]]))
    torch.testing.assert_close(made.weights, torch.tensor([[0.01, 100], [1, 10]]))
    assert made.step_size.tolist() == [1, 1]
    assert made.choice is None


@pytest.mark.parametrize(("normalize", "total"), [("sum", 1.0), ("count", 2.0)])
def test_normalised_weights_keep_their_ratio_and_sum_to_one_or_to_the_number_of_pairs(
    normalize, total
):
    made = control(WeighLosses(normalize=normalize, wide=4.0), np.array([[0.0, 1.0], [0.5, -0.5]]))
    torch.testing.assert_close(made.weights, torch.tensor([[1, 4], [4, 1]]) / 5 * total)


def test_weights_beyond_the_box_are_clipped():
    made = control(WeighLosses(normalize=None, wide=10.0), np.array([[-3.0, 7.0]]))
    torch.testing.assert_close(made.weights, torch.tensor([[0.1, 10.0]]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_refused_with_the_number_of_its_environment(bad):
    with pytest.raises(ValueError, match=r"environments 2 .*expected finite numbers"):
        control(WeighLosses(), np.array([[0.0, 0], [0, 1], [0, bad]]))


def test_weights_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="expected float32"):
        control(WeighLosses(), np.array([["a", "b"]]))


@pytest.mark.parametrize("actions", [0, None, np.array(1), torch.tensor(1), np.float32(0.5)])
@pytest.mark.parametrize("kind", [ChoosePair(), WeighLosses()])
def test_what_is_no_batch_is_a_type_error_as_of_gymnasiums_environments(kind, actions):
    with pytest.raises(TypeError, match=r"actions of shape \(\): expected \(3,"):
        control(kind, actions, num_envs=3)


def test_the_space_of_weights_is_a_unit_box():
    assert WeighLosses().action_space(describe(TwoBlocks())) == spaces.Box(
        -1.0, 1.0, (3,), np.float32
    )


def test_weights_are_refused_where_every_block_has_one_loss():
    with pytest.raises(ValueError, match="use control='pair'"):
        WeighLosses().action_space(describe(Separate()))


@pytest.mark.parametrize("wide", [1.0, 0.5, np.inf, np.nan])
def test_a_range_of_weights_that_is_none_is_refused(wide):
    with pytest.raises(ValueError, match="expected a number above 1"):
        WeighLosses(wide=wide)


def test_a_step_size_alone_leaves_all_losses_at_weight_one():
    made = control(ScaleStep(step_size_range=100.0), np.array([[-1.0], [0.0], [0.5], [3.0]]))
    torch.testing.assert_close(made.step_size, torch.tensor([0.01, 1.0, 10.0, 100.0]))
    assert made.weights.tolist() == [[1.0, 1.0]] * 4
    assert ScaleStep().action_space(describe(SMALL)) == spaces.Box(-1.0, 1.0, (1,), np.float32)


def test_a_step_size_beside_weights_is_one_more_entry():
    kind = WeighLosses(step_size=True, normalize=None, step_size_range=4.0)
    made = control(kind, np.array([[0.0, 0.0, 1.0], [1.0, 0.0, -0.5]]))
    torch.testing.assert_close(made.step_size, torch.tensor([4.0, 0.5]))
    torch.testing.assert_close(made.weights, torch.tensor([[1.0, 1.0], [100.0, 1.0]]))
    assert kind.action_space(describe(SMALL)).shape == (3,)


def test_a_step_size_beside_a_pair_is_a_level_between_the_ends_of_its_range():
    kind = ChoosePair(step_size=True, levels=5, step_size_range=16.0)
    made = control(kind, np.array([[0, 0], [1, 2], [1, 3], [0, 4]]))
    torch.testing.assert_close(made.step_size, torch.tensor([1 / 16, 1.0, 4.0, 16.0]))
    assert made.choice.tolist() == [0, 1, 1, 0]
    assert made.weights.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]
    assert kind.action_space(describe(SMALL)) == spaces.MultiDiscrete([2, 5])


@pytest.mark.parametrize("bad", [[0, 5], [2, 0], [-1, 0]])
def test_a_level_or_pair_out_of_range_is_refused_with_the_number_of_its_environment(bad):
    with pytest.raises(ValueError, match=r"environments 1 .*integers below \[2, 5\]"):
        control(ChoosePair(step_size=True), np.array([[0, 0], bad]))


def test_levels_and_pairs_that_are_not_integers_are_refused():
    with pytest.raises(ValueError, match=r"float64: expected integers below \[2, 5\]"):
        control(ChoosePair(step_size=True), np.zeros((2, 2)))
