"""Random command lines, arguments and actions: a tenth of what `tests/support` plays in full."""

import pytest

from tests.support import forked
from tests.support.prepared import run_python


@pytest.mark.parametrize(
    ("module", "cases"),
    [("random_commands", 100), ("random_arguments", 200), ("random_actions", 50)],
)
def test_random_input_works_or_is_refused_in_one_line(module, cases):
    # In a process of its own: the checks of annotations in this one would refuse bad types first.
    result = run_python("-m", f"tests.support.{module}", "--cases", cases)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"tried {cases}, worked " in result.stdout


def _spin():
    while True:
        pass


def _raise():
    raise KeyError("a bug")


@pytest.mark.parametrize(
    ("case", "expected"),
    [(lambda: ("worked", "fine"), "worked"), (_raise, "traceback"), (_spin, "hang")],
)
def test_the_end_of_a_case_is_told(case, expected, monkeypatch):
    monkeypatch.setattr(forked, "SECONDS", 0.2)
    assert forked.forked(case)[0] == expected


def test_a_line_of_python_or_numpy_about_a_value_is_not_taken_for_a_refusal():
    from tests.support.random_arguments import make

    def unchecked(size):
        return [0] * size if size < 3 else None

    assert make(unchecked, {"size": "x"})[0] == "nonsense"
    assert make(unchecked, {"size": 2})[0] == "worked"
