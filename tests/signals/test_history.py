import pytest
import torch

from autoloss_gym.core.task import Evaluation
from autoloss_gym.signals.history import History

YES, NO = torch.tensor([True, True]), torch.tensor([False, False])


def evaluation(losses, norms, measured=None) -> Evaluation:
    losses = torch.tensor(losses)
    measured = (
        torch.ones_like(losses, dtype=torch.bool) if measured is None else torch.tensor(measured)
    )
    return Evaluation(losses=losses, gradient_norms=torch.tensor(norms), measured=measured)


def started(first=(10.0, 10.0), memory: int = 2) -> History:
    """Two runs, two pairs, one metric."""
    return History.start(
        evaluation([[1.0, 2.0]] * 2, [[0.1, 0.2]] * 2), torch.tensor(first)[:, None], memory
    )


def test_a_history_starts_with_what_was_measured():
    history = started((10.0, 20.0))
    assert history.losses.tolist() == [[1, 2]] * 2
    assert history.losses_refreshed.all()
    assert history.validation.tolist() == history.average.tolist() == [[10], [20]]
    assert history.past.tolist() == [[10] * 3, [20] * 3]
    assert history.best.tolist() == [10, 20]
    for name in (
        "difference",
        "second_difference",
        "last_difference",
        "since_best",
        "steps",
        "weight_sums",
    ):
        assert not getattr(history, name).any(), name


def test_an_update_changes_only_the_losses_and_norms_that_it_measured():
    history = started()
    measured = [[True, False], [False, True]]
    history.record_update(
        evaluation([[5.0, 6.0]] * 2, [[0.5, 0.6]] * 2, measured), torch.eye(2), torch.ones(2)
    )
    assert history.losses.tolist() == [[5, 2], [1, 6]]
    torch.testing.assert_close(history.gradient_norms, torch.tensor([[0.5, 0.2], [0.1, 0.6]]))
    assert history.losses_refreshed.tolist() == measured
    assert history.steps.tolist() == [1, 1]


def test_pair_shares_are_the_average_weights():
    history, nothing = (
        started(),
        evaluation([[0.0, 0.0]] * 2, [[0.0, 0.0]] * 2, [[False, False]] * 2),
    )
    assert history.pair_shares.tolist() == [[0, 0], [0, 0]]
    for weights in ([[1.0, 0.0], [3.0, 1.0]], [[1.0, 0.0], [2.0, 2.0]], [[0.0, 1.0], [0.0, 8.0]]):
        history.record_update(nothing, torch.tensor(weights), torch.ones(2))
    torch.testing.assert_close(
        history.pair_shares, torch.tensor([[2 / 3, 1 / 3], [1.25 / 3, 1.75 / 3]])
    )


def test_moving_averages_of_the_metric_and_its_differences_by_hand():
    history = started()
    for value in (8.0, 7.0):  # differences -2, -1; second differences -2, +1
        history.record_validation(torch.full((2, 1), value), YES, minimize=True)
    for name, expected in {
        "validation": 7.0,
        "average": 0.9 * (0.9 * 10 + 0.1 * 8) + 0.1 * 7,
        "difference": 0.9 * -0.2 + 0.1 * -1,
        "second_difference": 0.9 * -0.2 + 0.1 * 1,
        "last_difference": -1.0,
    }.items():
        torch.testing.assert_close(getattr(history, name), torch.full((2, 1), expected), msg=name)


def test_past_values_are_the_newest_first():
    history = started()
    for value in (8.0, 7.0, 9.0):
        history.record_validation(torch.full((2, 1), value), YES, minimize=True)
    assert history.past.tolist() == [[9, 7, 8]] * 2


def test_a_validation_leaves_the_runs_that_are_not_valid():
    history, untouched = started(), started()
    for values in ([[8.0], [float("nan")]], [[7.0], [float("inf")]], [[6.0], [1.0]]):
        history.record_validation(torch.tensor(values), torch.tensor([True, False]), minimize=True)
    for name, value in vars(history).items():
        assert torch.equal(value[1], getattr(untouched, name)[1]), name
    assert history.validation[0] == 6
    assert torch.isfinite(history.average).all()


@pytest.mark.parametrize("minimize", [True, False])
def test_the_best_is_in_the_declared_direction_and_ties_do_not_count(minimize):
    sign = 1.0 if minimize else -1.0
    history = started((sign * 10, sign * 10))
    improvements, since = [], []
    for value in (9.0, 9.0, 12.0, 8.0):
        improved = history.record_validation(torch.full((2, 1), sign * value), YES, minimize)
        improvements.append(improved.tolist())
        since.append(history.since_best.tolist())
    assert improvements == [[True] * 2, [False] * 2, [False] * 2, [True] * 2]
    assert since == [[0] * 2, [1] * 2, [2] * 2, [0] * 2]
    assert history.best.tolist() == [sign * 8] * 2


def test_the_first_metric_alone_decides_the_best():
    history = History.start(evaluation([[1.0]], [[1.0]]), torch.tensor([[5.0, 5.0]]), memory=0)
    assert not history.record_validation(
        torch.tensor([[6.0, 1.0]]), torch.tensor([True]), minimize=True
    )
    assert history.record_validation(
        torch.tensor([[4.0, 9.0]]), torch.tensor([True]), minimize=True
    )
    assert history.past.tolist() == [[4]]


def test_patience_does_not_run_out_where_nothing_was_validated():
    history = started()
    for _ in range(3):
        history.record_validation(torch.full((2, 1), 99.0), NO, minimize=True)
    assert history.since_best.tolist() == [0, 0]
