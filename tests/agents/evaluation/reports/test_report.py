"""What a benchmark says on paper."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from agents.evaluation.entrants import Entrant
from agents.evaluation.reports.report import markdown_table, save_report, text_table
from agents.evaluation.results import make_row
from agents.evaluation.rollout import Episodes
from agents.evaluation.rows import Benchmark
from autoloss_gym.controllers.policies.static import Ratio
from autoloss_gym.core.task import Metric
from autoloss_gym.tasks.images.image_gan import ImageGAN
from autoloss_gym.tasks.supervised.mlp_classification import MLPClassification
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from tests.support.toy_tasks import SMALL

REFERENCE = np.array([1.0, 2.0, 3.0, 4.0])


def row(label, scores, baseline=None, minimize=True, others=()):
    policy = Ratio(label, (1, 1))
    scores = np.asarray(scores, dtype=float)
    figures = {
        "best_score": scores,
        "score": scores,
        "diverged": scores > 1e6,
        "collapsed": scores < 0,
        "twice": 2 * scores,
    }
    episodes = Episodes(figures, np.full((10, 2), 0.5))
    reference = None if baseline is None else np.asarray(baseline)[None]
    metrics = [Metric("score", minimize), *(Metric(name) for name in others)]
    return make_row(Entrant(label, [policy]), [policy], [episodes], reference, metrics)


def compared(minimize=True):
    rows = [
        row("a", REFERENCE),
        row("b", [0, 1, 3, 9], REFERENCE, minimize),
    ]  # better, better, equal, worse
    return Benchmark(rows, Metric("score", minimize), "a", np.arange(4), ["mse", "l1"], "problems")


def alone(scores):
    return Benchmark(
        [row("a", scores)], Metric("score"), None, np.arange(len(scores)), ["mse", "l1"], "problems"
    )


def columns(line):
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_improvement_goes_by_the_direction_of_the_score():
    assert row("b", [0, 1, 3, 9], REFERENCE, minimize=True).improvement.value == 0.625
    assert row("b", [0, 1, 3, 9], REFERENCE, minimize=False).improvement.value == 0.375


def test_the_table_compares_every_row_with_the_reference():
    header, _, first, second, *notes = text_table(compared()).splitlines()
    place = columns(header).index("P(better) [95 %]")
    assert columns(header)[place - 1] == "difference to a [95 %]"
    assert columns(first)[place - 1 : place + 1] == ["reference", "—"]
    improvement = compared().rows[1].improvement
    assert columns(second)[place] == f"0.62 [{improvement.low:.2f}, {improvement.high:.2f}]"
    assert sum(note.startswith("P(better)") for note in notes) == 1


def test_a_table_without_reference_compares_nothing():
    header, _, first, *notes = text_table(alone([1.0, 2.0])).splitlines()
    assert columns(header) == ["policy", "n", "mean [95 % interval]", "IQM", "share of mse"]
    assert columns(first)[-1] == "0.50"
    assert len(columns(first)) == 5
    assert not any("P(better)" in note or "differences" in note for note in notes)


@pytest.mark.parametrize("minimize", [True, False])
def test_the_report_has_the_improvement_and_a_picture(tmp_path, minimize):
    paths = save_report(compared(minimize), [], "title", tmp_path, {})
    first, second = json.loads(paths[2].read_text())["rows"]
    assert first["improvement"] is None
    assert second["improvement"]["value"] == (0.625 if minimize else 0.375)
    assert paths[4].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("scores", [[1.0], [2.0, 2.0, 2.0], [0.0, -1.0]])
def test_single_equal_and_negative_figures_are_drawn_without_a_warning(tmp_path, scores):
    for reference in ("a", None):
        rows = [
            row("a", scores),
            replace(row("b", scores, scores if reference else None), static=False, reactive=True),
        ]
        benchmark = Benchmark(
            rows, Metric("score"), reference, np.arange(len(scores)), ["mse", "l1"], "problems"
        )
        paths = save_report(benchmark, [], "title", tmp_path, {})
        assert paths[4].read_bytes().startswith(b"\x89PNG")


def test_the_notes_say_which_share_of_the_runs_diverged_or_collapsed():
    rows = [
        row("a", [1.0, 2.0, -1.0, -2.0]),
        row("b", [1e7, 1.0, 1.0, 1.0]),
        row("c", [1.0] * 4),
        row("d", [-1.0] * 4),
    ]
    notes = text_table(
        Benchmark(rows, Metric("score"), None, np.arange(4), ["mse", "l1"], "problems")
    ).splitlines()
    assert notes[-2:] == ["Diverged runs: b 25.0%.", "Collapsed runs: a 50.0%, d 100.0%."]
    assert not any(
        "Diverged" in note or "Collapsed" in note
        for note in text_table(alone([1.0, 2.0])).splitlines()
    )


def test_the_files_have_the_other_score_metrics_by_name(tmp_path):
    rows = [row("a", [1.0, 2.0], others=["twice"]), row("b", [3.0, -4.0], others=["twice"])]
    benchmark = Benchmark(rows, Metric("score"), "a", np.arange(2), ["mse", "l1"], "problems")
    paths = save_report(benchmark, [], "title", tmp_path, {})
    content = json.loads(paths[2].read_text())["rows"]
    assert [each["others"] for each in content] == [{"twice": [[2, 4]]}, {"twice": [[6, -8]]}]
    assert [each["collapsed"] for each in content] == [0, 0.5]
    lines = list(csv.DictReader(paths[3].read_text().splitlines()))
    found = [(line["policy"], float(line["best_score"]), float(line["twice"])) for line in lines]
    assert found == [("a", 1, 2), ("a", 2, 4), ("b", 3, 6), ("b", -4, -8)]


def test_remarks_and_then_the_verdict_end_both_tables_and_the_json_has_the_verdict(tmp_path):
    rows = [row("a", REFERENCE), replace(row("b", REFERENCE + 1, REFERENCE), reactive=True)]
    benchmark = Benchmark(rows, Metric("score"), "a", np.arange(4), ["mse", "l1"], "problems")
    words = "b is worse than a by 1.000 [1.000, 1.000] (n = 4): use a"
    for table in (text_table, markdown_table):
        remark, sentence = table(benchmark, ["A remark."]).splitlines()[-2:]
        assert remark == "A remark."
        assert sentence.startswith(f"Verdict: {words}")
    path = save_report(benchmark, [], "title", tmp_path, {})[2]
    assert json.loads(path.read_text())["verdict"].startswith(words)
    assert "Verdict" not in text_table(alone([1.0, 2.0]))


@pytest.mark.parametrize("task", [QuadraticRegression, MLPClassification])
def test_the_target_column_of_a_csv_file_is_a_remark(task, tmp_path):
    path = str(tmp_path / "houses.csv")
    lines = [f"{i},{i * i},{i % 2}" for i in range(40)]
    (tmp_path / "houses.csv").write_text("\n".join(["rooms,price,kind", *lines]))
    last = task(dataset=path)
    assert last.remarks("test") == ("Target: column 'kind' (the last) of houses.csv.",)
    named = task(dataset=path, target="kind")
    assert named.remarks("test") == ("Target: column 'kind' of houses.csv.",)


def test_generated_and_bundled_data_need_no_remark():
    tasks = [
        QuadraticRegression(),
        QuadraticRegression(dataset="diabetes"),
        MLPClassification(),
        MLPClassification(dataset="digits"),
        SMALL,
    ]
    assert [task.remarks("test") for task in tasks] == [()] * 5


def test_the_scores_of_real_images_are_a_remark(monkeypatch):
    scores = {"inception_score": 9.314, "diversity": 1.0}
    counts = {"validation": 100, "test": 1200}
    known = classmethod(lambda cls, split: (counts[split], scores))
    monkeypatch.setattr(ImageGAN, "real_data_scores", known)
    assert ImageGAN().remarks("test") == (
        "Real data (1,200): inception_score 9.31, diversity 1.00",
    )


def test_what_searches_and_many_trainings_a_problem_have_cost_stands_under_the_table_and_in_json(
    tmp_path,
):
    rows = [row("a", REFERENCE), row("b", REFERENCE), row("c", REFERENCE), row("d", REFERENCE)]
    rows[1].training_runs = 10_075
    rows[2].training_runs, rows[2].training_runs_each = 480, 20
    rows[3].training_runs = None  # nobody knows
    found = Benchmark(rows, Metric("score"), None, np.arange(4), ["mse", "l1"], "problems")
    lines = text_table(found).splitlines()
    assert "Training runs before the table: b 10,075, c 480." in lines
    assert "Training runs for each of the table's problems: c 20." in lines
    save_report(found, [], "title", tmp_path, {})
    kept = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [each["training_runs"] for each in kept] == [0, 10_075, 480, None]
    assert [each["training_runs_each"] for each in kept] == [1, 1, 20, 1]


def test_a_table_without_searches_says_nothing_of_their_cost():
    assert "Training runs" not in text_table(compared())
