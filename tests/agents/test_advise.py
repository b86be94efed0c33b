"""The command that measures headroom."""

import functools
import json
from pathlib import Path

import pytest

from agents.command_line import main
from agents.commands import result_folder
from agents.commands.advise import advise
from agents.commands.evaluate import evaluate

SMALL = "--env-kwargs dimension=4 num_samples=20 max_steps=20"
REGRESSION = f"--env AutoLoss/QuadraticRegression-v1 {SMALL}"
BRIEF = "--episodes 8 --constants 4 --budget 60 --moments 0.5"
FILES = ["table.txt", "table.md", "results.json", "figure.png"]


def call(command, text, capsys):
    """Exit status, and what was printed on stdout and stderr."""
    run = functools.partial(command, text.split(), "autoloss advise")
    try:
        status = main(run, "autoloss advise")
    except SystemExit as refused:
        status = refused.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.fixture
def finished(tmp_path, capsys):
    status, out, err = call(advise, f"{REGRESSION} {BRIEF} -o {tmp_path}", capsys)
    assert status == 0, err
    return out.splitlines()


def test_the_table_ends_with_a_recommendation_and_the_files_that_keep_it(finished):
    assert [Path(line).name for line in finished[-4:]] == FILES
    assert finished[-5].startswith("Recommendation: ")
    results = json.loads(Path(finished[-2]).read_text())
    assert finished[-5] == f"Recommendation: {results['recommendation']}."
    assert results["recommendation"].startswith(results["choice"])


def test_a_finished_measurement_is_told_again_without_playing(finished, capsys, monkeypatch):
    monkeypatch.setattr("agents.evaluation.headroom.player._environment", None)
    folder = Path(finished[-1]).parent
    status, out, err = call(advise, f"--resume {folder}", capsys)
    assert status == 0, err
    assert out.splitlines() == finished


def test_evaluate_says_the_same(finished, tmp_path, capsys):
    line = f"--headroom {REGRESSION} {BRIEF} -o {tmp_path / 'again'}"
    status, out, err = call(evaluate, line, capsys)
    assert status == 0, err
    assert out.splitlines()[:-4] == finished[:-4]


def test_an_interrupted_measurement_says_how_it_goes_on(tmp_path, capsys, monkeypatch):
    told = []
    monkeypatch.setattr(result_folder, "goes_on", lambda how: told.append(how()))
    call(evaluate, f"--headroom {REGRESSION} {BRIEF} -o {tmp_path}", capsys)
    folder = tmp_path / "AutoLoss-QuadraticRegression-v1_1"
    assert told == [
        f"{folder} holds 0 finished batches: go on with autoloss advise --headroom --resume {folder}"
    ]


@pytest.mark.parametrize(
    "line",
    [
        f"{REGRESSION} --draw",
        "--env AutoLoss/Beale-v1 --env-kwargs max_steps=20",
        f"{REGRESSION} penalty=split",
    ],
)
def test_every_kind_of_task_is_measured(line, tmp_path, capsys):
    status, out, err = call(advise, f"{line} {BRIEF} -o {tmp_path}", capsys)
    assert status == 0, err
    assert "Recommendation: " in out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "expected --env, or --resume FOLDER alone"),
        ("--env AutoLoss/Beal-v1", "did you mean 'AutoLoss/Beale-v1'"),
        (f"{REGRESSION} nois=3", "nois"),
        (f"{REGRESSION} --episodes 3", "'3': expected an integer from 4 to"),
        (f"{REGRESSION} --moments 1.0", "'1.0': expected a number between 0 and 1"),
        (f"{REGRESSION} --moments 0.5 0.2", "expected ascending shares of the budget"),
        (f"{REGRESSION} --moments nan", "'nan': expected a number between 0 and 1"),
        ("--resume nowhere", "is not a result folder of a measurement of headroom"),
        ("--resume nowhere --budget 7", "leave out --budget"),
    ],
)
def test_bad_arguments_are_one_line_and_leave_no_folder(line, expected, tmp_path, capsys):
    output = "" if "resume" in line else f" -o {tmp_path / 'results'}"
    status, out, err = call(advise, line + output, capsys)
    assert status == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert expected in err
    assert not (tmp_path / "results").exists()


def test_a_folder_of_an_evaluation_is_refused(tmp_path, capsys):
    line = f"{REGRESSION} --policies 1:1 --episodes 2 -o {tmp_path}"
    assert call(evaluate, line, capsys)[0] == 0
    status, _, err = call(advise, f"--resume {next(tmp_path.iterdir())}", capsys)
    assert status == 2
    assert "command.json" in err
