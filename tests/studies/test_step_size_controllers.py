"""The study of step-size controllers: what is trained, what is paired, and what is said."""

import dataclasses

import numpy as np
import pytest

from agents.configuration import ALGORITHMS
from studies.step_size.controllers import playing
from studies.step_size.controllers.families import FAMILIES
from studies.step_size.controllers.playing import Entrant, Table
from studies.step_size.controllers.report import difference, table_of, verdicts
from studies.step_size.controllers.settings import Family, group
from studies.step_size.controllers.study import play_family
from studies.step_size.controllers.trainings import OpenLoop, Training

ENV = "AutoLoss/QuadraticStepSize-v0"
TINY = Family(
    title="tiny",
    env=ENV,
    env_kwargs={"max_steps": 8, "dimension": 4},
    rows=group(2, {"every": 4}, 24, updates=1, search_runs=32, search_problems=2),
    knots=(),
    rules={"exact": {"step": "exact"}},
    choosing=2,
    episodes=6,
)


@pytest.fixture(scope="module", autouse=True)
def few_factors():
    """Three factors are tried instead of 41."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(playing, "FACTORS", (0.1, 0.3, 1.0))
        yield


@pytest.fixture(scope="module")
def played(tmp_path_factory, few_factors):
    folder = tmp_path_factory.mktemp("tiny")
    return play_family(TINY, folder, seeds=2), folder


def test_all_meet_the_same_problems_and_a_killed_study_goes_on(played):
    entrants, folder = played
    shapes = {name: each.scores.shape for name, each in entrants.items()}
    assert shapes == {
        "group": (2, 6),
        "blind": (2, 6),
        "constant": (1, 6),
        "cosine": (1, 6),
        "plain": (1, 6),
        "exact": (1, 6),
    }
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again = play_family(TINY, folder, seeds=2)
    for name, entrant in entrants.items():
        np.testing.assert_array_equal(again[name].scores, entrant.scores)
    assert files == {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_blind_copy_has_the_base_and_the_cost_of_the_controller(played):
    entrants, folder = played
    bases = [(folder / name / "1" / "schedule.json").read_text() for name in ("group", "blind")]
    assert len({text.split('"training_runs"')[0] for text in bases}) == 1
    assert entrants["blind"].training_runs == entrants["group"].training_runs == 32 + 24 + 24


def test_a_line_search_is_better_than_a_constant(played):
    entrants, _ = played
    assert (entrants["exact"].scores <= entrants["plain"].scores).all()


def test_an_open_loop_is_a_step_size_alone(tmp_path):
    family = dataclasses.replace(
        TINY,
        env="AutoLoss/QuadraticRegression-v1",
        env_kwargs={"max_steps": 8, "validate_every": 4, "dimension": 4, "num_samples": 20},
        episodes=3,
    )
    search = OpenLoop(family, 2, 0, 96, tmp_path)
    search.run()
    found = search.load()
    assert set(found.weights) == {(1.0, 1.0)}
    assert len(set(found.step_size)) == 2
    assert Table(family, tmp_path).open_loop([search]).scores.shape == (1, 3)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_row_decides_the_step_size_alone(family, tmp_path):
    for name, row in family.rows.items():
        assert row.algo in ALGORITHMS
        if row.base:
            continue
        configuration = Training(family, name, 0, tmp_path)._configuration()
        kwargs = configuration.env_kwargs
        tunes = row.algo == "meta_gradient" and "loss_weights" not in row.hyperparameters
        of_control = kwargs.get("control_arguments", {})
        assert tunes or kwargs["control"] == "step_size" or of_control["weights"] is False


def test_trainings_are_partners_and_problems_are_paired():
    one, two = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[2.0, 3.0], [4.0, 5.0]])
    found = difference(one, two)
    assert (found.value, found.low, found.high) == (-1.0, -1.0, -1.0)
    assert difference(one, two[:1]).value == 0.0


def test_a_table_begins_with_the_best_and_a_verdict_says_who_wins():
    problems = np.arange(50.0)[None]
    ours = Entrant("group controller, 3 decisions", problems, 100)
    better, alike = Entrant("rule", problems - 1, 0), Entrant("copy", problems[:, ::-1], 0)
    worse = Entrant("constant", problems + 1, 5, "factor 2")
    rows = table_of([worse, ours, better], [ours]).splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == [
        "| rule",
        "| group controller, 3 decisions",
        "| constant",
    ]
    assert "+1.000" in rows[2]
    assert rows[4].endswith("| 5 | factor 2 |")
    assert verdicts([ours, better, alike, worse], ours) == [
        "- group loses to rule: +1.000.",
        f"- group and copy show no clear difference: {rows_interval(ours, alike)}.",
        "- group beats constant: -1.000.",
    ]


def rows_interval(one, other):
    found = difference(one.scores, other.scores)
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
