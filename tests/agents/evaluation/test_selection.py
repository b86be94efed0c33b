"""Choosing among many candidates with few episodes."""

from types import SimpleNamespace

import numpy as np
import pytest

from agents.evaluation.rollout import Episodes
from agents.evaluation.selection import choose


class Table:
    """Plays a table of scores, one row for each candidate and one column for each problem, and
    keeps what it was asked.
    """

    def __init__(self, scores, minimize=True):
        self.scores = np.asarray(scores, dtype=float) * (1 if minimize else -1)
        self.candidates = [
            SimpleNamespace(label=str(index), index=index) for index in range(len(self.scores))
        ]
        self.calls: list[tuple[list[int], list[int]]] = []

    def __call__(self, policies, seeds):
        self.calls.append(([policy.index for policy in policies], seeds.tolist()))
        rows = [self.scores[policy.index][seeds] for policy in policies]
        return [Episodes({"best_score": row, "score": -row}, np.zeros((1, 2))) for row in rows]

    def problems(self, index):
        """How many problems that candidate has met."""
        return sum(len(seeds) for candidates, seeds in self.calls if index in candidates)


def noisy(candidates, problems, best):
    """Means 1, 2, 3, … with noise that cannot hide them, in an order that ends with `best`."""
    noise = 0.1 * np.random.default_rng(0).normal(size=(candidates, problems))
    order = np.roll(np.arange(1.0, candidates + 1), best)
    return order[:, None] + noise


@pytest.mark.parametrize("minimize", [True, False])
@pytest.mark.parametrize("problems", [1, 31, 32, 100, 200])
@pytest.mark.parametrize("best", [0, 7, 19])
def test_the_best_candidate_is_chosen_with_its_mean_over_all_problems(best, problems, minimize):
    table = Table(noisy(20, problems, best), minimize)
    ((policy, mean, _),) = choose([table.candidates], table, np.arange(problems), minimize)
    assert policy is table.candidates[best]
    assert mean == pytest.approx(table.scores[best].mean())
    assert table.problems(best) == problems


@pytest.mark.parametrize(
    ("problems", "ends", "candidates"),
    [
        (200, [25, 100, 200], [20, 5, 2]),
        (128, [16, 64, 128], [20, 5, 2]),
        (127, [63, 127], [20, 5]),
        (32, [16, 32], [20, 5]),
        (31, [31], [20]),
        (1, [1], [20]),
    ],
)
def test_a_quarter_goes_on_from_an_eighth_and_from_a_half_of_the_problems(
    problems, ends, candidates
):
    table = Table(noisy(20, problems, best=3))
    choose([table.candidates], table, np.arange(problems), minimize=True)
    assert [(len(asked), seeds) for asked, seeds in table.calls] == [
        (count, list(range(start, end)))
        for count, start, end in zip(candidates, [0, *ends], ends, strict=False)
    ]


def test_candidates_that_are_dropped_play_only_the_first_eighth_and_the_best_quarter_are_not_dropped():
    table = Table(noisy(8, 200, best=5))
    choose([table.candidates], table, np.arange(200), minimize=True)
    met = [table.problems(index) for index in range(8)]
    assert met == [25, 25, 25, 25, 25, 200, 100, 25]  # 5 has the least mean, 6 the next


def test_with_few_problems_a_candidate_that_begins_badly_may_still_win():
    scores = np.ones((5, 31))
    scores[3] = [4.0] * 4 + [0.0] * 27
    table = Table(scores)
    ((policy, mean, _),) = choose([table.candidates], table, np.arange(31), minimize=True)
    assert (policy.label, mean) == ("3", pytest.approx(16 / 31))
    assert {table.problems(index) for index in range(5)} == {31}


@pytest.mark.parametrize(("second_half", "winner"), [(1.9, "0"), (2.3, "1")])
def test_stages_are_judged_by_all_problems_so_far_and_not_by_the_newest(second_half, winner):
    """Candidate 0 is worse in the second half; whether it is worse on all problems decides."""
    scores = np.full((8, 64), 5.0)
    scores[0] = [1.0] * 32 + [second_half] * 32
    scores[1] = [1.6] * 32 + [1.5] * 32
    table = Table(scores)
    ((policy, *_),) = choose([table.candidates], table, np.arange(64), minimize=True)
    assert policy.label == winner


def test_several_choices_share_one_batch_in_every_stage():
    table = Table(
        np.concatenate([noisy(8, 64, best=2), noisy(5, 64, best=4), noisy(1, 64, best=0)])
    )
    fields = [table.candidates[:8], table.candidates[8:13], table.candidates[13:]]
    chosen = choose(fields, table, np.arange(64), minimize=True)
    assert [each.policy.index for each in chosen] == [2, 12, 13]
    assert [each.mean for each in chosen] == pytest.approx(
        [table.scores[index].mean() for index in (2, 12, 13)]
    )
    assert [len(asked) for asked, _ in table.calls] == [14, 2 + 2 + 1]
    assert [each.training_runs for each in chosen] == [
        sum(table.problems(index) for index in field) for field in (range(8), range(8, 13), [13])
    ]
    assert set(table.calls[1][0]) == {2, 3, 12, 8, 13}


@pytest.mark.parametrize("minimize", [True, False])
@pytest.mark.parametrize("problems", [8, 64, 200])
def test_of_equal_candidates_the_earlier_one_is_kept(problems, minimize):
    scores = np.full((9, problems), 3.0)
    scores[4:7] = 2.0
    table = Table(scores, minimize)
    ((policy, *_),) = choose([table.candidates], table, np.arange(problems), minimize)
    assert policy.label == "4"


def test_nothing_to_choose_is_no_error():
    assert choose([], Table(np.zeros((0, 4))), np.arange(200), minimize=True) == []
