import math

import pytest
import torch

from autoloss_gym.core.task import Evaluation, Metric, Task
from autoloss_gym.environment.runs import describe
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.history import History
from autoloss_gym.signals.rewards import REWARDS, Final, Improvement, Reward, Shaped
from tests.support.toy_tasks import SMALL, TwoBlocks

MAXIMISING = TwoBlocks(minimize=False, max_steps=20, validate_every=5)
ERROR = Metric("error", worst=100.0)
ACCURACY = Metric("accuracy", minimize=False, worst=0.01)
YES = torch.tensor([True, True])
NO = ~YES


def paid(reward: Reward, task: Task, values: list[float], validated=YES, ended=NO) -> list[float]:
    """What the first of two runs earns at every validation after the first; their metrics differ by
    a factor 2.
    """
    return played(reward, describe(task), values, [validated] * len(values), ended)


def played(reward: Reward, runs: RunDescription, values, validated, ended) -> list[float]:
    """As `paid`, of described runs; `validated` is given for each of the values."""
    metrics = torch.tensor(values)[:, None] * torch.tensor([1.0, 2.0])
    nothing = torch.zeros(2, 2)
    start = Evaluation(losses=nothing, gradient_norms=nothing, measured=nothing == 0)
    history = History.start(start, metrics[0][:, None], reward.memory(runs))
    rewards = []
    for metric, valid in zip(metrics[1:], validated[1:], strict=True):
        history.record_validation(metric[:, None], valid, runs.metric.minimize)
        history.steps = history.steps + runs.validate_every
        rewards.append(reward(runs, history, valid, ended)[0].item())
    return rewards


def diverging(reward: Reward, metric: Metric, values: list[float]) -> float:
    """What the first of two runs earns when it diverges after these validations."""
    validated = [*[YES] * len(values), NO]
    return played(reward, runs_of(metric), [*values, math.nan], validated, YES)[-1]


def runs_of(metric: Metric) -> RunDescription:
    """Runs that are validated every 5 steps."""
    return RunDescription(
        pairs=("a", "b"), validation_metrics=(metric,), max_steps=20, validate_every=5
    )


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
    reward = Improvement(segment=5, window=2)
    rewards = played(reward, runs_of(ACCURACY), [1.0, 2.0, 5.0], [YES] * 3, NO)
    assert rewards[1] == pytest.approx(3 / 2)


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


def test_shaped_pays_a_run_that_diverges_as_if_it_had_shown_the_worst_value():
    assert diverging(Shaped(), ERROR, [8.0, 4.0]) == pytest.approx(math.log(4 / 100))
    assert diverging(Shaped(), ACCURACY, [0.5, 0.8]) == pytest.approx(math.log(0.01 / 0.8))


def test_shaped_takes_an_end_of_its_range_where_a_metric_declares_no_worst_value():
    undeclared = Metric("loss")
    maximised = Metric("accuracy", minimize=False)
    assert diverging(Shaped(), undeclared, [4.0]) == pytest.approx(math.log(4 / 1e8))
    assert diverging(Shaped(), maximised, [0.5]) == pytest.approx(math.log(1e-8 / 0.5))


def test_a_validation_counts_for_no_worse_than_the_worst_value():
    rewards = paid(Shaped(), SMALL, [8.0, 1e6, 1e9, 4.0])
    assert rewards == pytest.approx([math.log(8 / 100), 0.0, math.log(100 / 4)])


def test_improvement_of_a_run_that_diverges_is_the_fall_to_the_worst_value():
    reward = Improvement(segment=10, window=1, floor=0.5)
    # It diverges half a segment after the segment that ended with 4.
    assert diverging(reward, ERROR, [8.0, 6.0, 4.0]) == pytest.approx((4 - 100) / 0.5)
    # It diverges where a segment would have ended; that segment began with 4, too.
    assert diverging(reward, ERROR, [8.0, 6.0, 4.0, 3.0]) == pytest.approx((4 - 100) / 0.5)


@pytest.mark.parametrize("metric", [ERROR, ACCURACY], ids=["minimised", "maximised"])
@pytest.mark.parametrize(
    "reward",
    [
        Shaped(),
        Improvement(segment=5),
        Final(formula="inverse"),
        Final(formula="negative_inverse"),
        Final(formula="square"),
        Final(formula="negative"),
    ],
    ids=str,
)
def test_no_other_end_of_a_run_pays_less_than_divergence(reward, metric):
    if metric is ACCURACY and reward == Final(formula="negative"):
        pytest.skip("the formula is for errors")
    diverged = diverging(reward, metric, [0.5, 0.4])
    for last in (1e-6, 0.1, 0.6, 50.0, 1e6, 1e12):
        validated = [YES] * 3
        earned = played(reward, runs_of(metric), [0.5, 0.4, last], validated, YES)[-1]
        assert earned >= diverged


def test_unbounded_rewards_are_those_of_version_0():
    assert diverging(Shaped(bounded=False), ERROR, [8.0, 4.0]) == 0
    assert diverging(Improvement(bounded=False, segment=5), ERROR, [8.0, 4.0]) == 0
    rewards = paid(Shaped(bounded=False), SMALL, [8.0, 1e6])
    assert rewards == pytest.approx([math.log(8 / 1e6)])


def test_improvement_needs_a_worst_value():
    with pytest.raises(ValueError, match="'loss' needs a finite worst value; declare it"):
        Improvement(segment=5).memory(runs_of(Metric("loss")))
