"""The study of loss weightings."""

import sys

import numpy as np
import pytest

from studies.weightings import settings, study
from studies.weightings.playing import Entrant
from studies.weightings.ranks import rank_table, ranked
from studies.weightings.report import report, worth
from studies.weightings.settings import BENCHES, BLIND, CONTROLLER, EQUAL, OPEN_LOOP, RULES


def test_ranks_are_by_problem_and_ties_share_them():
    errors = {
        "a": np.array([1.0, 1.0]),
        "b": np.array([2.0, 1.0]),
        "c": np.array([3.0, 2.0]),
    }
    ranks = ranked({"one": errors}, {"one": "one"})
    np.testing.assert_allclose(ranks.of_problems[0], [[1, 1.5], [2, 1.5], [3, 3]])
    np.testing.assert_allclose(ranks.of_benches(), [[1.25, 1.75, 3.0]])


def test_only_rules_of_every_bench_are_ranked_and_benches_of_a_kind_count_once():
    first = {"a": np.array([1.0]), "b": np.array([2.0]), "c": np.array([0.0])}
    second = {"a": np.array([2.0]), "b": np.array([1.0])}
    ranks = ranked(
        {"one": first, "two": first, "three": second}, {"one": "x", "two": "x", "three": "y"}
    )
    assert ranks.rules == ["a", "b"]
    assert [each.value for each in ranks.averages()] == [1.5, 1.5]  # 1 and 2 in either task


def test_a_rule_that_is_best_everywhere_is_told_apart_from_all():
    generator = np.random.default_rng(1)
    errors = generator.uniform(1, 2, (2, 3, 20))
    benches = {
        name: dict(zip("abc", [np.full(20, 0.5), *of_bench[1:]], strict=True))
        for name, of_bench in zip(("one", "two"), errors, strict=True)
    }
    ranks = ranked(benches, {"one": "one", "two": "two"})
    assert ranks.winner() == ("a", [])
    shown = rank_table(ranks, {"a": "first", "b": "second", "c": "third"})
    assert "Best average rank: first" in shown
    assert "their problems: none. First on some bench: first." in shown


def test_a_controller_is_worth_the_most_candidates_that_are_no_better():
    best = np.array([[4.0, 4.0], [2.0, 2.0], [1.0, 1.0]])
    assert worth(best, np.array([[2.0, 2.0, 99.0]])) == 2  # on the problems of the candidates
    assert worth(best, np.array([[5.0, 5.0]])) == 0
    assert worth(best, np.array([[0.5, 0.5]])) == 3


def test_the_table_has_the_best_first_and_ratios_to_equal_weights():
    def entrant(name, *figures):
        return Entrant(name, np.array([figures]))

    entrants = {
        EQUAL: entrant("equal weights", 4.0, 16.0),
        "dwa": entrant("DWA", 2.0, 8.0),
        CONTROLLER: entrant("controller", 1.0, 4.0),
        BLIND: entrant("blind", 2.0, 8.0),
        OPEN_LOOP: entrant("loop", 1.0, 4.0),
    }
    best_of = {"fixed weights": np.array([[2.0, 8.0], [0.5, 1.0]])}
    shown = report(BENCHES["classification"], entrants, best_of)
    lines = shown.splitlines()
    assert lines[2].startswith("| controller | 2 | 2 [1, 4] | 0.250 | 100% |")
    assert lines[-3].startswith("- controller / loop: 1.000")
    assert "- controller / blind: 0.500" in shown
    assert "worth 1 fixed weights of each problem" in shown


@pytest.mark.parametrize("controllers", [False, True])
def test_a_quick_study_writes_its_page_and_goes_on_without_playing_anew(
    monkeypatch, tmp_path, capsys, controllers
):
    monkeypatch.setattr(settings, "RULES", {EQUAL: RULES[EQUAL], "dwa": RULES["dwa"]})
    monkeypatch.setattr(settings, "AGGREGATIONS", {})
    monkeypatch.setattr(settings, "RULES_OF_RESIDUALS", {})
    monkeypatch.setattr(study, "RANKED", settings.RULES)
    arguments = ["study", "classification", "autoencoder", "--quick", "-o", str(tmp_path)]
    if controllers:
        arguments = ["study", "poisson", "--quick", "--controllers", "--seeds", "2"]
        arguments += ["-o", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--processes", "1"])
    study.run()
    page = (tmp_path / "quick" / "weightings.md").read_text(encoding="utf-8")
    first = capsys.readouterr().out

    monkeypatch.setattr("agents.evaluation.rollout.play_batch", None)  # nothing is played again
    study.run()
    assert (tmp_path / "quick" / "weightings.md").read_text(encoding="utf-8") == page
    assert capsys.readouterr().out == first
    assert ("open loop of the same budget" in page) == controllers
    assert ("average rank" in first) != controllers

    monkeypatch.setattr(sys, "argv", [*arguments, "--processes", "1", "--ranks-only"])
    if controllers:
        with pytest.raises(SystemExit):
            study.run()
        assert "--ranks-only: got poisson alone, expected two tasks" in capsys.readouterr().err
        return
    study.run()  # the same ranks, of what has been played
    assert first.endswith(capsys.readouterr().out)
    assert (tmp_path / "quick" / "weightings.md").read_text(encoding="utf-8") == page
