"""Runs that are kept: a comparison goes on after whatever ended it, and mixes nothing."""

import json
from collections import deque

import pytest

from agents.evaluation.own_loops.comparison import compare
from autoloss_gym.weightings import SoftAdapt

RULES = ["equal", "softadapt"]
OFFSET = 1.0
# What train leaves or finds here is no part of its code: a list of numbers would be.
CALLS = deque()
STOP_AT = deque([None])


def train(rule, seed):
    CALLS.append((type(rule).__name__, seed))
    if len(CALLS) == STOP_AT[0]:
        raise KeyboardInterrupt
    return OFFSET + seed + 0.5 * isinstance(rule, SoftAdapt)


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr("agents.evaluation.reports.figure.draw", lambda *arguments: None)
    CALLS.clear()
    STOP_AT[0] = None


def test_after_an_interrupt_only_the_missing_runs_are_made_and_the_table_is_the_same(tmp_path):
    expected = str(compare(train, RULES, seeds=4))
    CALLS.clear()
    STOP_AT[0] = 4
    with pytest.raises(KeyboardInterrupt) as caught:
        compare(train, RULES, seeds=4, output=tmp_path)
    assert caught.value.__notes__ == [
        f"3 finished runs are kept in {tmp_path}: the same call goes on from there"
    ]
    CALLS.clear()
    STOP_AT[0] = None
    assert str(compare(train, RULES, seeds=4, output=tmp_path)) == expected
    assert len(CALLS) == 5
    CALLS.clear()
    assert str(compare(train, RULES, seeds=4, output=tmp_path)) == expected
    assert not CALLS


def test_more_seeds_and_more_rules_cost_only_what_is_new(tmp_path):
    compare(train, RULES, seeds=2, output=tmp_path)
    CALLS.clear()
    compare(train, [*RULES, "dwa"], seeds=[1, 2], output=tmp_path)
    assert list(CALLS) == [
        ("DynamicWeightAverage", 1),
        ("Equal", 2),
        ("SoftAdapt", 2),
        ("DynamicWeightAverage", 2),
    ]


def test_a_rule_with_other_arguments_is_run_again_under_the_same_name(tmp_path):
    compare(train, [{"soft": "softadapt"}], seeds=2, output=tmp_path)
    CALLS.clear()
    compare(train, [{"soft": SoftAdapt(beta=0.5)}], seeds=2, output=tmp_path)
    assert len(CALLS) == 2


@pytest.mark.parametrize("torn", ['{"rule": "equal", "se', "\x00\x00", '{"rule": 3}', "[]"])
def test_a_line_that_was_cut_off_costs_its_own_run_alone(tmp_path, torn):
    expected = str(compare(train, RULES, seeds=2, output=tmp_path))
    path = tmp_path / "runs.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], torn]))
    CALLS.clear()
    assert str(compare(train, RULES, seeds=2, output=tmp_path)) == expected
    assert len(CALLS) == 1
    for line in path.read_text().splitlines():
        json.loads(line)


def test_runs_of_other_code_are_refused_in_one_line(tmp_path, monkeypatch):
    compare(train, RULES, seeds=1, output=tmp_path)
    monkeypatch.setitem(globals(), "OFFSET", 2.0)  # which train reads
    with pytest.raises(
        ValueError, match=r"the code of .*train, or a value .* is another now"
    ) as error:
        compare(train, RULES, seeds=1, output=tmp_path)
    assert "\n" not in str(error.value)
    assert "another output" in str(error.value)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "runs.jsonl").write_text("a diary\n")
    with pytest.raises(ValueError, match="holds no runs that can be read"):
        compare(train, RULES, seeds=1, output=tmp_path)
