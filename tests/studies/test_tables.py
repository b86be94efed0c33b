"""`studies/tables.py`: what makes the tables of docs/results/."""

import json

from tests.support.prepared import run_python


def results(*arguments):
    return run_python("-m", "studies.tables", *arguments)


def test_the_quick_form_trains_plays_and_is_not_repeated(tmp_path):
    made = results("--quick", "regression_split", "-o", tmp_path)
    assert made.returncode == 0, made.stderr
    (path,) = tmp_path.glob("quick/regression_split/evaluation/*/results.json")
    content = json.loads(path.read_text())
    assert {"ppo", "reinforce", "round_robin"} <= {row["label"] for row in content["rows"]}
    assert content["command"]["split"] == "validation"  # the test problems are for the full form
    assert "share of mse/l1_linear" in made.stdout
    again = results("--quick", "regression_split", "-o", tmp_path)
    assert "train_agent.py" in made.stdout
    assert "train_agent.py" not in again.stdout
    assert (
        again.stdout.split("excess_risk")[-1].splitlines()[0]
        == made.stdout.split("excess_risk")[-1].splitlines()[0]
    )


def test_an_unknown_table_is_one_line():
    made = results("regresion")
    assert made.returncode == 2
    assert "did you mean 'regression'" in made.stderr
    assert len(made.stderr.splitlines()) == 1
