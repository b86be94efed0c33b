"""The example of two tasks: every rule trains it, and the guide shows it as it is."""

import importlib.util
import math

import pytest
import torch

import autoloss_gym
from tests.support.paths import ROOT

PATH = ROOT / "examples" / "multi_task.py"
GUIDE = (ROOT / "docs" / "guides" / "compare_rules.md").read_text()


@pytest.fixture(scope="module")
def multi_task():
    spec = importlib.util.spec_from_file_location("multi_task", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_eight_rules_train_it_and_the_guide_has_a_row_for_each(multi_task, monkeypatch):
    monkeypatch.setattr(multi_task, "STEPS", 3)
    result = autoloss_gym.compare(multi_task.train, multi_task.RULES, seeds=1)
    assert len(result.scores) == 8
    for label, scores in result.scores.items():
        assert math.isfinite(scores[0])
        assert f"\n| {label} | 20 |" in GUIDE


def test_training_lowers_both_losses_where_the_weights_undo_their_scales(multi_task, monkeypatch):
    monkeypatch.setattr(multi_task, "STEPS", 150)
    result = autoloss_gym.compare(multi_task.train, ["fixed:10000,1"], seeds=1)
    (run,) = result.runs["fixed:10000,1"]
    assert run.figures["small task"] < 0.9
    assert run.figures["large task"] < 1
    torch.testing.assert_close(run.score, sum(run.figures.values()), rtol=1e-5, atol=0)


def test_the_guide_shows_the_call_of_the_example():
    (call,) = [line for line in PATH.read_text().splitlines() if "train, RULES" in line]
    assert call.strip() in GUIDE
