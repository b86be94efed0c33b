import math

import pytest
import torch

from autoloss_gym.core.task import Evaluation, Task
from autoloss_gym.environment.runs import describe
from autoloss_gym.signals.history import History
from autoloss_gym.signals.rewards import REWARDS, Final, Improvement, Reward, Shaped
from tests.support.toy_tasks import SMALL, TwoBlocks

MAXIMISING = TwoBlocks(minimize=False, max_steps=20, validate_every=5)
YES = torch.tensor([True, True])
NO = ~YES


def paid(reward: Reward, task: Task, values: list[float], validated=YES, ended=NO) -> list[float]:
    """What the first of two runs earns at every validation after the first; their metrics differ by
    a factor 2.
    """
    metrics = torch.tensor(values)[:, None] * torch.tensor([1.0, 2.0])
    nothing = torch.zeros(2, 2)
    start = Evaluation(losses=nothing, gradient_norms=nothing, measured=nothing == 0)
    history, rewards = History.start(start, metrics[0][:, None], reward.memory(describe(task))), []
    for metric in metrics[1:]:
        history.record_validation(metric[:, None], YES, task.validation_metrics[0].minimize)
        history.steps = history.steps + task.validate_every
        rewards.append(reward(describe(task), history, validated, ended)[0].item())
    return rewards


def test_shaped_pays_the_decrease_of_the_log_error():
    assert paid(Shaped(), SMALL, [8.0, 4.0, 6.0]) == pytest.approx([math.log(2), math.log(4 / 6)])


def test_shaped_pays_the_increase_of_a_metric_that_is_maximised():
    assert paid(Shaped(), MAXIMISING, [0.5, 0.8, 0.6]) == pytest.approx(
        [math.log(1.6), math.log(0.75)]
    )


def test_shaped_rewards_of_an_episode_sum_to_the_decrease_from_first_to_last():
    assert sum(paid(Shaped(), SMALL, [9.0, 5.0, 7.0, 3.0, 4.0])) == pytest.approx(math.log(9 / 4))


def test_shaped_is_bounded_where_the_error_vanishes():
    assert paid(Shaped(), SMALL, [1.0, 0.0, 0.0]) == pytest.approx([math.log(1e8), 0.0])


@pytest.mark.parametrize(
    ("formula", "expected"),
    [("inverse", 10 / 4), ("negative_inverse", -10 / 4), ("square", 160), ("negative", -40)],
)
def test_final_pays_the_papers_formula_of_the_best_validation(formula, expected):
    assert paid(Final(formula=formula), SMALL, [8.0, 4.0, 6.0], ended=YES)[-1] == pytest.approx(
        expected
    )


def test_final_takes_the_highest_value_of_a_metric_that_is_maximised():
    reward = Final(formula="square", scale=2.0)
    assert paid(reward, MAXIMISING, [3.0, 5.0, 4.0], ended=YES)[-1] == pytest.approx(2 * 25)


def test_final_is_bounded_by_its_floor():
    assert paid(Final(scale=10.0, floor=0.1), SMALL, [8.0, 1e-6], ended=YES) == pytest.approx([100])
    assert paid(
        Final(formula="negative_inverse", scale=1.0, floor=0.5), MAXIMISING, [0.1, 0.2], ended=YES
    ) == [-2]


@pytest.mark.parametrize("formula", ["inverse", "negative_inverse", "square", "negative"])
def test_diverging_never_pays_more_than_the_worst_end(formula):
    reward = Final(formula=formula, scale=1.0, floor=0.5)
    worst = 100.0 if formula in ("inverse", "negative") else 0.0
    healthy = paid(reward, SMALL, [worst, worst], ended=YES)[0]
    assert paid(reward, SMALL, [8.0, 4.0], validated=NO, ended=YES)[0] <= healthy


def test_final_pays_nothing_before_the_end():
    assert paid(Final(), SMALL, [8.0, 4.0, 6.0]) == [0, 0]


def test_improvement_is_the_gain_of_a_segment_over_the_mean_gain_of_the_window_by_hand():
    reward = Improvement(segment=5, window=2)
    # The first window reaches back before the episode, where the first value stands.
    assert paid(reward, SMALL, [10.0, 9.0, 6.0, 5.0]) == pytest.approx(
        [1 / (1 / 2), 3 / (4 / 2), 1 / (4 / 2)]
    )


def test_improvement_pays_only_at_the_end_of_a_segment():
    reward = Improvement(segment=10, window=1)
    assert paid(reward, SMALL, [10.0, 9.0, 6.0, 5.0, 3.0]) == pytest.approx([0, 1, 0, 1])
    assert paid(Improvement(segment=10, window=2), SMALL, [10.0, 9.0, 6.0, 5.0, 3.0])[
        3
    ] == pytest.approx(3 / 3.5)


def test_improvement_of_a_metric_that_is_maximised_is_its_increase():
    assert paid(Improvement(segment=5, window=2), MAXIMISING, [1.0, 2.0, 5.0])[1] == pytest.approx(
        3 / 2
    )


def test_the_denominator_of_improvement_has_a_floor():
    rewards = paid(Improvement(segment=5, window=1, floor=0.5), SMALL, [10.0, 10.1, 10.0])
    assert rewards == pytest.approx([-0.1 / 0.5, 0.1 / 0.5], rel=1e-4)


@pytest.mark.parametrize("reward", [Shaped(), Final(), Improvement(segment=5)])
def test_a_run_that_was_not_validated_earns_nothing(reward):
    assert paid(reward, SMALL, [8.0, 4.0, 6.0], validated=NO) == [0, 0]


def test_improvement_refuses_segments_that_no_validation_ends():
    with pytest.raises(ValueError, match="segment=7: expected a multiple of validate_every=5"):
        Improvement(segment=7).memory(describe(SMALL))


@pytest.mark.parametrize("arguments", [{"segment": 0}, {"window": 0}, {"floor": 0.0}])
def test_improvement_refuses_senseless_numbers(arguments):
    with pytest.raises(
        ValueError,
        match=r"(segment|window)=0: expected an integer of at least 1|floor=0.0: expected a positive",
    ):
        Improvement(**arguments)


@pytest.mark.usefixtures("as_users_have_it")
def test_final_refuses_an_unknown_formula():
    with pytest.raises(ValueError, match="formula='log': expected 'inverse' or 'negative_inverse'"):
        Final(formula="log")


def test_rewards_are_known_by_name():
    assert {"shaped": Shaped, "final": Final, "improvement": Improvement} == REWARDS
