"""The study of multi-task translation: what is paired, what is chosen, and what is said."""

import dataclasses
import math
import re

import jaxtyping
import numpy as np
import pytest

from agents.evaluation.rollout import Episodes
from agents.learners.groups.base_files import load_base
from studies.translation import playing, study
from studies.translation.arguments import parse_arguments
from studies.translation.figure import draw, smoothed
from studies.translation.playing import Entrant, Table, constant_probabilities
from studies.translation.report import (
    Played,
    order_of_the_paper,
    sentences,
    table_of,
)
from studies.translation.settings import (
    BLIND,
    CONSTANT,
    FINE_TUNED,
    FIXED_RATIO,
    GROUP,
    MT,
    ONLINE,
    ONLINE_PAPER,
    OPEN_LOOP,
    PPO,
    STATIC,
    Study,
    quick,
)
from studies.translation.study import play_budget, work
from studies.translation.trainings import Training, in_logs, search_runs

BUDGET = 4
REACTING = study._reacting  # before it is replaced
WHOLE = Study(preset="synthetic")
QUICK = quick(WHOLE)
SMALL = {"num_held_out": 1, "num_test": 1, "batch_size": 1, "bidirectional": False}
TINY = dataclasses.replace(
    QUICK,
    budgets=(BUDGET,),
    learned_budgets=(BUDGET,),
    problems=2,
    seeds=1,
    env_kwargs={**QUICK.env_kwargs, **SMALL, "validate_every": 2},
)


@pytest.fixture(scope="module", autouse=True)
def few_policies():
    """Three constants, and one rule besides the online controller.

    Annotations, which other tests check, take half of the time.
    """
    with pytest.MonkeyPatch.context() as patch:
        chosen = [(1.0, 0.0, 0.0), (0.4, 0.2, 0.4), (0.2, 0.4, 0.4)]
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        patch.setattr(playing, "constant_probabilities", lambda: chosen)
        patch.setattr(study, "_reacting", lambda study, budget: ["softadapt", ONLINE])
        yield


@pytest.fixture(scope="module")
def played(tmp_path_factory, few_policies):
    folder = tmp_path_factory.mktemp("tiny")
    return play_budget(TINY, BUDGET, folder, None), folder


def written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_all_meet_the_same_problems_and_a_killed_study_goes_on(played):
    found, folder = played
    shapes = {name: each.perplexities.shape for name, each in found.entrants.items()}
    learned = (OPEN_LOOP, PPO, GROUP, BLIND)
    assert shapes == {
        **dict.fromkeys((*STATIC, "softadapt", ONLINE, *learned), (1, 2)),
    }
    before = written(folder)
    again = play_budget(TINY, BUDGET, folder, None)
    for name, entrant in found.entrants.items():
        np.testing.assert_array_equal(again.entrants[name].perplexities, entrant.perplexities)
    assert written(folder) == before


def test_a_further_seed_trains_nothing_that_is_trained(played):
    _, folder = played
    before = written(folder)
    work(dataclasses.replace(TINY, seeds=2), BUDGET, folder, (OPEN_LOOP,), None)
    after = written(folder)
    assert before.items() <= after.items()
    new = {path.relative_to(folder).parts[:3] for path in after.keys() - before.keys()}
    assert new == {(str(BUDGET), "open_loop_96", "1")}


def test_some_of_the_learners_are_compared_where_only_they_are_wanted(played):
    found, folder = played
    before = written(folder)
    some = dataclasses.replace(TINY, learners=(OPEN_LOOP,))
    again = play_budget(some, BUDGET, folder, None)
    assert found.entrants.keys() - again.entrants.keys() == {PPO, GROUP, BLIND}
    assert written(folder) == before


def test_every_learner_has_the_same_number_of_training_runs(played):
    found, _ = played
    costs = {found.entrants[name].training_runs for name in (OPEN_LOOP, PPO, GROUP, BLIND)}
    assert costs == {TINY.training_runs}


def test_the_full_study_spends_its_training_runs_to_the_last_one(tmp_path):
    full = Study(preset="synthetic")
    configuration = Training(full, 600, GROUP, 0, tmp_path).configuration()
    assert configuration.env_kwargs["control_arguments"] == {
        "every": 150,
        "draw": True,
        "step_size": False,
    }
    updates = configuration.n_timesteps // (4 * configuration.num_envs)
    measured = configuration.num_envs
    searched = search_runs(full)
    assert searched == 384
    assert searched + measured + updates * configuration.num_envs == full.training_runs
    ppo = Training(full, 600, PPO, 0, tmp_path).configuration()
    assert ppo.n_timesteps == 600 * full.training_runs
    assert ppo.n_timesteps % (ppo.num_envs * ppo.hyperparameters["n_steps"]) == 0


def test_the_blind_copy_has_the_base_of_its_controller(played):
    _, folder = played
    seeing, blind = (
        Training(TINY, BUDGET, name, 0, folder / str(BUDGET)).own_folder for name in (GROUP, BLIND)
    )
    assert load_base(seeing) == load_base(blind)
    assert load_base(seeing)["weights"][0] != [1.0, 1.0, 1.0]


def test_choices_cost_their_candidates_on_validation_problems_and_say_what_was_chosen(played):
    found, _ = played
    costs = {name: found.entrants[name].training_runs for name in STATIC}
    expected = dict.fromkeys(STATIC, 0) | {FINE_TUNED: 5, CONSTANT: 3}
    assert costs == expected
    assert found.entrants[FINE_TUNED].note.endswith(" of 5")
    assert found.entrants[FINE_TUNED].note.split()[0] in ("0.2", "0.4", "0.5", "0.6", "0.8")
    assert found.entrants[CONSTANT].note.count(":") == 2
    assert found.reference in STATIC


def test_translation_alone_is_the_constant_that_draws_nothing_else(played):
    found, folder = played
    table = Table(TINY, BUDGET, folder / str(BUDGET), None)
    (mt,) = table.candidates(MT)
    constant = table.candidates(CONSTANT)[0]
    one, other = table._played([mt, constant], "test", np.arange(2))
    np.testing.assert_array_equal(one.best_scores, other.best_scores)
    np.testing.assert_array_equal(found.entrants[MT].shares, [[1.0, 0.0, 0.0]] * BUDGET)
    assert table.data_ratio == "8:8:8"


def test_constants_are_fifths_with_some_translation_in_each():
    found = constant_probabilities()
    assert len(set(found)) == len(found) == 15
    assert all(math.isclose(sum(each), 1) for each in found)
    assert min(each[0] for each in found) == 0.2
    assert (1.0, 0.0, 0.0) in found


def test_a_search_looks_at_logarithms():
    figures = {"best_score": np.array([1.0, math.e]), "best_validation": np.array([1.0, math.e**2])}
    (found,) = in_logs(
        [Episodes({**figures, "diverged": np.array([False, True])}, np.zeros((1, 3)))]
    )
    np.testing.assert_allclose(found.figures["best_score"], [0, 1])
    np.testing.assert_allclose(found.figures["best_validation"], [0, 2])
    assert found.figures["diverged"].tolist() == [False, True]


def entrant(name, perplexities, title=None):
    values = np.array([perplexities], dtype=np.float64)
    return Entrant(name, title or name, values, values * 0 + 0.25, np.zeros((4, 3)), 7, "it")


def comparison(**factors):
    """Entrants whose perplexities are multiples of the same ones."""
    problems = np.array([1.5, 2.0, 3.0])
    entrants = {name: entrant(name, factor * problems) for name, factor in factors.items()}
    return Played(600, entrants, MT, "problems")


def without_intervals(text):
    """Of exact multiples, whose intervals are points up to rounding."""
    return re.sub(r" \[.+?\]", "", text)


def test_a_table_begins_with_the_least_perplexity_and_has_ratios():
    found = comparison(mt=4.0, fixed_ratio=2.0, fine_tuned=1.0, online=0.5)
    rows = [
        row.strip("| ").split(" | ") for row in without_intervals(table_of(found)).splitlines()[2:]
    ]
    assert [row[0] for row in rows] == [ONLINE, FINE_TUNED, FIXED_RATIO, MT]
    assert rows[0][3:6] == ["0.125", "0.250", "0.125"]
    assert rows[0][6:] == ["25.0%", "7", "it"]
    assert rows[3][3:6] == ["", "2.000", ""]


def order_of(found):
    return without_intervals(order_of_the_paper(found))


def test_the_papers_order_holds_where_all_of_its_steps_do():
    says = order_of(comparison(mt=4.0, fixed_ratio=2.0, fine_tuned=1.0, online=0.5))
    assert "holds with online PPO: online PPO / FineTuned 0.500 (holds);" in says
    says = order_of(comparison(mt=1.0, fixed_ratio=2.0, fine_tuned=1.0, online=0.5))
    assert "is not found with any" in says
    assert "FixedRatio / MT 2.000 (reversed)" in says
    assert "online PPO / FineTuned 0.500 (holds)" in says


def test_a_step_whose_interval_holds_1_is_not_clear():
    found = comparison(mt=4.0, fixed_ratio=2.0, fine_tuned=1.0, online=0.5)
    mixed = entrant(ONLINE, [1.0, 2.5, 3.0])
    found = dataclasses.replace(found, entrants={**found.entrants, ONLINE: mixed})
    says = order_of(found)
    assert "(not clear); FineTuned / FixedRatio" in says
    assert "is not found with any" in says


def test_sentences_are_about_those_that_were_played():
    some = comparison(mt=2.0, fixed_ratio=2.0, fine_tuned=1.0, online=0.5)
    assert not any("open loop" in each for each in sentences(some))
    whole = comparison(
        mt=2.0,
        fixed_ratio=2.0,
        fine_tuned=1.0,
        online=0.5,
        open_loop=1.0,
        ppo=0.5,
        group=2,
        blind=4,
    )
    text = without_intervals("\n".join(sentences(whole)))
    assert "The open loop has 0.500 times the perplexity of the best static policy (better)" in text
    assert "- PPO / the open loop: 0.500 (better)" in text
    assert "- the group controller / the open loop: 2.000 (worse)" in text
    assert "- the group controller / its blind copy: 0.500 (better)" in text


def test_the_papers_buffer_is_played_where_it_fills():
    assert ONLINE_PAPER not in REACTING(WHOLE, 2000)
    assert ONLINE_PAPER in REACTING(WHOLE, 2001)
    assert ONLINE in REACTING(WHOLE, 300)


def test_weighting_rules_may_be_left_out():
    assert "softadapt" in REACTING(WHOLE, 300)
    assert REACTING(dataclasses.replace(WHOLE, rules=False), 300) == [ONLINE]


def test_shares_are_means_of_windows():
    shares = np.zeros((48, 3))
    shares[24:, 1] = 1.0
    middles, found = smoothed(dataclasses.replace(entrant(MT, [1.0]), shares=shares), 1)
    assert middles.tolist() == [1.0 + 2 * window for window in range(24)]
    assert found.tolist() == [0.0] * 12 + [1.0] * 12


def test_the_picture_is_of_the_budget_with_learners(played, tmp_path, capsys):
    found, _ = played
    draw([comparison(mt=1.0), found], ["translation", "entities", "tags"], tmp_path / "it.png")
    assert (tmp_path / "it.png").stat().st_size > 10_000
    assert "it.png drawn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["--learned-budgets", "500"], "--learned-budgets 500: expected some of --budgets"),
        (["--training-runs", "10"], "--training-runs"),
        (["--only", "everything"], "--only"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(given, reason, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["study", *given])
    with pytest.raises(SystemExit):
        parse_arguments("")
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
