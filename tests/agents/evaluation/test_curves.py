"""Scores in the course of training, by the loop of evaluations, and kept on disk."""

from dataclasses import replace

import numpy as np
import pytest

from agents.environments import EnvironmentMaker
from agents.evaluation import curves
from agents.evaluation.curves import Job, check_every, every, play, play_all
from agents.evaluation.store import Store
from autoloss_gym.controllers.policies.static import Ratio
from autoloss_gym.tools.forms import Array

REGRESSION = {
    "dimension": 4,
    "num_samples": 20,
    "max_steps": 40,
    "validate_every": 5,
    "split": "test",
}


def regression_job(policy=None, **arguments):
    """A job on a regression, which is quick; its pairs are the error and the penalty."""
    maker = EnvironmentMaker("AutoLoss/QuadraticRegression-v1", REGRESSION | arguments)
    return Job(
        maker,
        policy or Ratio("1:1", (1, 1)),
        (3, 4),
        scored_after=every(10, (REGRESSION | arguments)["max_steps"]),
    )


# Scores in the course of training


def test_a_curve_holds_the_scores_of_every_tenth_step_of_each_run():
    job = regression_job()
    envs = job.make_env(num_envs=2, autoreset_mode="Disabled")
    envs.reset(seed=[3, 4])
    expected = []
    for step in range(40):
        envs.step(np.full(2, step % 2))
        expected += [envs.scores()] if step % 10 == 9 else []
    np.testing.assert_array_equal(play(job), np.stack(expected))


def test_a_run_that_has_ended_keeps_its_last_score_while_the_others_go_on():
    job = replace(
        regression_job(patience=2, max_steps=100, l1_coefficient=0.02), scored_after=every(5, 100)
    )
    envs = job.make_env(num_envs=2, autoreset_mode="Disabled")
    envs.reset(seed=[3, 4])
    ended, steps = np.zeros(2, dtype=bool), 0
    while not ended.any():
        _, _, ended, _, infos = envs.step(np.full(2, steps % 2))
        steps += 1
    assert steps < 100
    assert not ended.all()
    curve, (row, *_) = play(job), np.flatnonzero(ended)
    assert curve.shape[0] == 20
    np.testing.assert_array_equal(curve[steps // 5 - 1 :, row, 0], infos["score"][row])
    assert len(np.unique(curve[:, 1 - row, 0])) > len(np.unique(curve[:, row, 0]))


def test_a_score_that_is_not_finite_counts_as_the_worst():
    envs = regression_job().make_env(num_envs=2)
    envs.reset(seed=0)
    good = envs.scores()
    envs.scores = lambda: np.where([[True], [False]], good, np.nan)
    worst = [metric.worst for metric in envs.task.score_metrics]
    np.testing.assert_array_equal(curves.finite_scores(envs), [good[0], worst])


def test_finished_jobs_are_read_back_and_others_are_played(tmp_path, monkeypatch):
    jobs, store = (
        [regression_job(), regression_job(Ratio("1:3", (1, 3)))],
        Store(tmp_path / "curves"),
    )
    (first,) = play_all(jobs[:1], store)
    played = []
    monkeypatch.setattr(curves, "play", lambda job: played.append(job) or np.zeros((4, 2, 1)))
    found = play_all(jobs, Store(tmp_path / "curves"))
    assert played == jobs[1:]
    np.testing.assert_array_equal(found[0], first)
    np.testing.assert_array_equal(found[1], np.zeros((4, 2, 1)))


@pytest.mark.parametrize(
    "other",
    [regression_job(max_steps=50), regression_job(Ratio("1:2", (1, 2))), replace(regression_job(), scored_after=(20, 40)),
     replace(regression_job(), seeds=(3, 5)), regression_job(split="validation")],
    ids=["arguments", "policy", "every", "seeds", "split"],
)  # fmt: skip
def test_a_job_with_anything_else_is_another_one(other, tmp_path):
    store, curve = Store(tmp_path), np.ones((4, 2, 1))
    store.save(regression_job().key, {"curve": curve})
    form = {"curve": Array.like(curve)}
    assert store.load(other.key, form) is None
    np.testing.assert_array_equal(store.load(regression_job().key, form)["curve"], curve)


def test_a_job_whose_file_is_damaged_is_played_again(tmp_path, monkeypatch):
    store = Store(tmp_path)
    play_all([regression_job()], store)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:20])
    again = []
    monkeypatch.setattr(curves, "play", lambda job: again.append(job) or np.ones((4, 2, 1)))
    play_all([regression_job()], store)
    assert again == [regression_job()]


@pytest.mark.parametrize(
    ("interval", "policy", "message"),
    [
        (15, Ratio("1:1", (1, 1)), "--every 15: expected a divisor of max_steps=40"),
        (
            4,
            Ratio("slow", (1, 1), env_arguments={"repeat": 5}),
            "a multiple of the 5 updates of a step of slow",
        ),
    ],
)
def test_an_interval_that_no_step_hits_is_refused(interval, policy, message):
    task = regression_job().make_env(num_envs=1).task
    with pytest.raises(ValueError, match=message):
        check_every(interval, task, [policy], repeat=1)
