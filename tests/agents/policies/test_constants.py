"""What counts as a constant, and when a search of one is added to a benchmark."""

import pytest

from agents.evaluation.entrants import make_entrant
from agents.policies.constants import SEARCH, is_constant, with_constant
from agents.policies.grammar import parse_specification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression

TRAINED = "ppo:a.zip"


def added(*texts, tmp_path):
    (tmp_path / "a.zip").touch()
    given = [parse_specification(text.replace("a.zip", str(tmp_path / "a.zip"))) for text in texts]
    found = with_constant(given)
    assert found[: len(given)] == given
    return [each.text for each in found[len(given) :]]


@pytest.mark.parametrize("others", [(), ("1:1",), ("softadapt", "fixed:2"), ("random:0.3",)])
def test_a_trained_policy_that_meets_no_search_of_constants_gets_one(others, tmp_path):
    assert added(TRAINED, *others, tmp_path=tmp_path) == [SEARCH]


@pytest.mark.parametrize("search", ["constant", "constant:50", "grid", "grid:30", "random"])
def test_a_search_of_constants_is_not_doubled(search, tmp_path):
    assert added(TRAINED, search, tmp_path=tmp_path) == []


def test_without_a_trained_policy_nothing_is_added(tmp_path):
    assert added("1:1", "softadapt", "schedule", tmp_path=tmp_path) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("constant:4", True), ("grid", True), ("random", True), ("ratios", False)],
)
def test_candidates_are_known_to_be_constants(text, expected):
    entrant = make_entrant(parse_specification(text), QuadraticRegression(), "")
    assert all(map(is_constant, entrant.candidates)) == expected
