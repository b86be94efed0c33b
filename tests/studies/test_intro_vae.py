"""`studies/intro_vae`: tables by hand, and a study that goes on after a kill."""

import re
import sys

import numpy as np
import pytest

from agents.evaluation import curves as evaluation
from autoloss_gym.core.task import Metric
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from studies.intro_vae import study as intro_vae
from studies.intro_vae.arguments import parse_arguments
from studies.intro_vae.report import Curves, report
from studies.intro_vae.settings import (
    FIXED,
    GRID_SAMPLES,
    GRID_SIMILAR,
    POINTS,
    SHOWN,
    grid,
    weighted,
)

SSIM = Metric("structural_similarity", minimize=False, worst=-1.0)
ERROR = Metric("reconstruction_error", worst=1.0)


def curve(*ends):
    """Eight points of as many runs as there are ends, (8, runs, 2): a rise to them."""
    rise = np.arange(1, 9)[:, None] / 8 * np.array(ends)
    return np.stack([np.zeros_like(rise), rise], axis=-1)


def test_tables_show_quarters_of_training_and_differences_at_the_end():
    scores = {FIXED: curve(0.8, 0.8), "gradnorm": curve(0.4, 0.6)}
    titles = {FIXED: "fixed", "gradnorm": "GradNorm"}
    steps = np.arange(1, 9) * 100
    text = report(Curves((ERROR, SSIM), steps, titles, scores))
    assert "2 runs of each row" in text
    lines = text.splitlines()
    to_preset = "difference to the preset's weights"
    assert f"| row | 200 steps | 400 steps | 600 steps | 800 steps | {to_preset} |" in lines
    assert "| fixed | 0.200 | 0.400 | 0.600 | 0.800 | — |" in lines
    row = next(line for line in lines if "GradNorm" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == "0.125 [0.100, 0.150]"
    assert cells[-1] == "-0.300 [-0.400, -0.200]"
    assert "NIQE" not in text  # this task has no such figure
    assert "No run ended early." in text


def test_runs_that_stand_still_have_ended_early_and_the_best_of_the_grid_is_a_reference():
    stopped = curve(0.5, 0.5)
    stopped[5:, 1] = stopped[5, 1]
    scores = {FIXED: curve(0.8, 0.8), GRID_SIMILAR: curve(0.9, 0.7), "gradnorm": stopped}
    titles = {FIXED: "fixed", GRID_SIMILAR: "chosen", "gradnorm": "GradNorm"}
    text = report(Curves((ERROR, SSIM), np.arange(1, 9) * 100, titles, scores))
    assert "Runs that ended early, whose last scores are kept: GradNorm 1." in text
    assert "| difference to the preset's weights | difference to the grid's best |" in text
    row = next(line for line in text.splitlines() if line.startswith("| fixed"))
    assert row.endswith("| — | +0.000 [-0.100, +0.100] |")


def test_official_weights_go_with_one_by_pixels():
    assert weighted(25.0, 256)["official"].task["reconstruction"] == pytest.approx(0.05)
    assert weighted(25.0, 16)["official"].task["reconstruction"] == pytest.approx(12.8)


def test_the_grid_has_the_settings_of_the_preset_in_its_middle():
    settings = [dict(row.task) for row in grid(25.0)]
    assert settings[4] == {"alpha": 0.25, "reconstruction": 25.0}
    assert len({tuple(each.items()) for each in settings}) == 9


def test_rows_in_colours_exist():
    rows = {**weighted(25.0, 16), **intro_vae.PLAYERS}
    assert set(SHOWN) <= set(rows)


def test_the_commands_that_are_shown_make_steps_that_their_presets_take():
    shown = re.findall(r"--preset (\w+) --steps (\d+)", intro_vae.__doc__)
    assert shown
    for preset, steps in shown:
        assert int(steps) % POINTS == int(steps) % IntroVAE.presets[preset]["validate_every"] == 0


def test_validation_runs_alone_choose_and_players_make_twice_as_many_updates(tmp_path, monkeypatch):
    """The third setting of the grid has the best SSIM, the seventh the least distance."""
    monkeypatch.setattr(sys, "argv", ["intro_vae", "--quick", "-o", str(tmp_path)])
    study = intro_vae.Study(parse_arguments(""))
    names = [metric.name for metric in study.metrics]
    played = []

    ends = np.full((9, 1, 2, len(names)), 5.0)
    ends[2, ..., names.index("structural_similarity")] = 6.0
    ends[6, ..., names.index("frechet_distance")] = 4.0

    def play_all(jobs, *_):
        played.extend(jobs)
        return list(ends[: len(jobs)])

    monkeypatch.setattr(intro_vae, "play_all", play_all)
    study.choose()
    settings = [dict(row.task) for row in grid(IntroVAE.presets["digits"]["reconstruction"])]
    assert study.rows[GRID_SIMILAR].task == settings[2]
    assert study.rows[GRID_SAMPLES].task == settings[6]
    assert [job.make_env.arguments["split"] for job in played] == ["validation"] * 9

    choosing = set(played[0].seeds)
    played.clear()
    study.played([FIXED, GRID_SIMILAR, "gradnorm", "encoder"])
    assert {job.make_env.arguments["split"] for job in played} == {"test"}
    assert len({job.seeds for job in played}) == 1
    assert not choosing & set(played[0].seeds)
    steps = [(job.scored_after[-1], job.make_env.arguments["max_steps"]) for job in played]
    assert steps == [(POINTS, POINTS)] * 3 + [(2 * POINTS, 2 * POINTS)]


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["intro_vae", *map(str, arguments)])
    intro_vae.run()


def test_rows_are_not_played_twice(tmp_path, monkeypatch, capsys):
    rows = ["--quick", "--rows", FIXED, "encoder", "-o", tmp_path]
    command(monkeypatch, *rows)
    printed = capsys.readouterr().out
    assert "| fixed weights of the preset |" in printed
    assert "| players, 3:1 (encoder) |" in printed
    monkeypatch.setattr(evaluation, "play", None)
    command(monkeypatch, *rows)
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["--rows", "nothing"], "--rows nothing: expected some of "),
        (["--steps", "100"], "--steps 100: expected a multiple of 12"),
    ],
)
def test_bad_arguments_are_one_line(given, reason, tmp_path, monkeypatch, capsys):
    with pytest.raises((ValueError, SystemExit)) as caught:
        command(monkeypatch, *given, "--preset", "digits", "-o", tmp_path)
    assert reason in f"{caught.value}{capsys.readouterr().err}"
