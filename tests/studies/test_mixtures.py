import numpy as np
import pytest

from agents.configuration import ALGORITHMS
from agents.evaluation.rollout import Episodes
from studies.mixtures.playing import best_of_each
from studies.mixtures.report import Line, comparison, difference, worth
from studies.mixtures.settings import ABLATIONS, CONTROLLER, FAMILIES, MAIN
from studies.mixtures.trainings import OpenLoopSearch, Training


def episodes(scores, validation, diverged):
    figures = {
        "best_score": np.array(scores),
        "best_validation": np.array(validation),
        "diverged": np.array(diverged),
    }
    return Episodes(figures, np.zeros((1, 2)))


def test_each_problem_takes_the_best_of_the_first_k_by_its_validation():
    played = [
        episodes([10.0, 20.0, 30.0], [3.0, 1.0, 0.5], [False, False, True]),
        episodes([11.0, 21.0, 31.0], [2.0, 5.0, 0.7], [False, False, False]),
        episodes([12.0, 22.0, 32.0], [2.5, 0.5, 0.9], [False, True, False]),
    ]
    assert best_of_each(played, minimize=True).tolist() == [
        [10, 20, 30],
        [11, 20, 31],
        [11, 20, 31],
    ]
    assert best_of_each(played, minimize=False).tolist() == [
        [10, 20, 30],
        [10, 21, 31],
        [10, 21, 32],
    ]


def test_a_controller_is_worth_as_many_trainings_as_do_not_beat_it():
    best = np.array([[5.0, 5.0], [4.0, 4.0], [3.0, 3.0], [1.0, 1.0]])
    assert worth(best, np.array([[3.0, 3.0]]), sign=1) == 3
    assert worth(best, np.array([[6.0, 6.0]]), sign=1) == 0
    assert worth(best, np.array([[0.0, 0.0]]), sign=1) == 4
    assert worth(-best, -np.array([[3.0, 3.0]]), sign=-1) == 3


def test_trainings_are_paired_where_there_are_as_many_and_problems_always():
    figures = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert difference(figures, figures + 1).value == -1
    assert difference(figures, figures + 1).low == -1
    one = difference(figures, np.array([[1.0, 2.0, 9.0]]))
    assert one.value == pytest.approx(1.0)


def test_a_line_of_a_table_has_the_gain_over_the_open_loop():
    loop = np.array([[2.0, 3.0]])
    lines = [Line("it", loop - 1, "7"), Line("open loop", loop, "7")]
    rows = comparison(lines, loop, sign=1).splitlines()[2:]
    assert "-1.000" in rows[0]
    assert "100%" in rows[0]
    assert "%" not in rows[1]


@pytest.mark.parametrize("name", FAMILIES)
def test_an_open_loop_has_other_problems_than_a_controller_and_no_smaller_budget(name, tmp_path):
    family = FAMILIES[name]
    training = Training(family, MAIN[CONTROLLER], 3, tmp_path, CONTROLLER)
    search = OpenLoopSearch(family, 3, training.cost(), tmp_path)
    assert search.training_runs == training.cost() > family.num_envs * family.updates
    assert search.own_folder != training.own_folder


def test_every_ablation_takes_the_base_of_a_controller_and_is_trained_by_a_known_algorithm():
    assert next(iter(ABLATIONS)) == "recipe"
    assert not any(row.own_base for row in ABLATIONS.values())
    assert {row.algo for row in ABLATIONS.values()} <= set(ALGORITHMS)
