"""The example of a module of one's own is short, keeps the promises of a task, and learns."""

import sys

import numpy as np
import pytest

import autoloss_gym
from tests.support.paths import ROOT

SOURCE = (ROOT / "examples" / "own_module.py").read_text()


@pytest.fixture
def own_module(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    import own_module

    yield own_module
    autoloss_gym.registration.gymnasium.registry.pop("Example/Oscillation-v0")
    del sys.modules["own_module"]


def test_the_users_part_has_at_most_twenty_lines():
    part = SOURCE.split("# The user's part")[1].split("register_task(")[0]
    assert sum(bool(line.strip()) for line in part.splitlines()[1:]) <= 20


@pytest.mark.filterwarnings("error")
def test_the_task_keeps_its_promises_and_is_lifted(own_module):
    task = own_module.make_task(max_steps=20)
    autoloss_gym.check_task(task)
    envs = autoloss_gym.AutoLossVectorEnv(task, num_envs=3)
    envs.reset(seed=0)
    assert np.isfinite(envs.scores()).all()


def test_every_problem_has_an_oscillation_of_its_own(own_module):
    envs = autoloss_gym.AutoLossVectorEnv("own_module:make_task", num_envs=3)
    envs.reset(seed=0)
    factors = envs._batch.runs.state.data["train"]["factors"]
    assert len(factors.unique(dim=0)) == 3
