"""Progress: one bar on a terminal, a few lines elsewhere."""

import contextlib
import io
import sys

import pytest
from rich.console import Console

from agents.progress import Bar, Lines, show_progress, silently


def lines(number, updates):
    stream = io.StringIO()
    with Lines("steps", number, stream) as progress:
        for update in updates:
            progress.update(*update)
    return stream.getvalue().splitlines()


def test_a_training_prints_ten_lines_with_the_latest_figures():
    printed = lines(10, [("training ppo", n, 1000, f"best score {n}") for n in range(0, 1020, 20)])
    assert len(printed) == 10
    assert printed[0].split() == ["10", "%", "100", "steps", "0", "s", "best", "score", "100"]
    assert printed[-1].split()[:3] == ["100", "%", "1,000"]


def test_a_training_that_goes_on_does_not_print_what_was_done_before():
    printed = lines(10, [("training ppo", n, 1000) for n in range(550, 1010, 10)])
    assert [line.split()[0] for line in printed] == ["60", "70", "80", "90", "100"]


def test_steps_beyond_the_end_are_not_said_twice():
    printed = lines(10, [("training ppo", n, 100) for n in (0, 99, 101, 125)])
    assert [line.split()[:2] for line in printed] == [["99", "%"], ["100", "%"]]


def test_an_evaluation_prints_one_line_a_stage_however_many_rounds_it_has():
    updates = [("choosing", done, 1000) for _ in range(3) for done in (250, 500, 1000)]
    assert lines(1, [*updates, ("playing", 10, 50)]) == [
        "choosing: 1,000 steps",
        "playing: 50 steps",
    ]


def test_what_is_no_terminal_gets_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    assert isinstance(show_progress("steps", lines=10), Lines)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("installed", "expected"), [(True, Bar), (False, Lines)])
def test_a_terminal_gets_a_bar_where_rich_is_installed(installed, expected, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    if not installed:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert isinstance(show_progress("steps", lines=10), expected)


def test_the_bar_shows_one_stage_at_a_time_with_what_is_done_and_the_latest_figures():
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120)
    with Bar("steps", console) as bar:
        bar.update("choosing", 10, 100)
        bar.update("choosing", 100, 100)
        bar.update("choosing", 5, 20)  # another round
        bar.update("playing", 0, 50)
        bar.update("playing", 60, 50, "best score 0.5")
    last = output.getvalue().rstrip().rpartition("playing")[2]
    assert "50/50" in last
    assert "best score 0.5" in last
    assert "choosing" not in last


def test_the_bar_is_removed_where_the_work_is_broken_off():
    output = io.StringIO()
    bar = Bar("steps", Console(file=output, force_terminal=True, width=120))
    with contextlib.suppress(KeyboardInterrupt), bar:
        bar.update("playing", 10, 50)
        raise KeyboardInterrupt
    assert "\x1b[2K" in output.getvalue().rpartition("playing")[2]


def test_the_progress_of_a_part_is_not_shown_and_that_of_the_whole_is(capsys):
    with show_progress("trials", lines=10) as whole:
        with silently(), show_progress("steps", lines=10) as part:
            part.update("training ppo", 0, 10)
            part.update("training ppo", 10, 10)
        whole.update("tuning ppo", 0, 10)
        whole.update("tuning ppo", 10, 10)
    assert [line.split()[:4] for line in capsys.readouterr().err.splitlines()] == [
        ["100", "%", "10", "trials"]
    ]
