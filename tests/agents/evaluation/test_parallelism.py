"""How many processes play, where nobody has said it."""

import os
import time

import pytest

from agents.evaluation import parallelism
from agents.evaluation.parallelism import available_cores, workers_that_pay
from autoloss_gym import AutoLossVectorEnv
from tests.support.toy_tasks import TwoBlocks


def make_env(num_envs, compile=False):
    assert not compile, "to compile for a trial would take longer than most evaluations"
    return AutoLossVectorEnv(TwoBlocks(), num_envs)


@pytest.mark.parametrize(("num_runs", "workers"), [(1, 1), (10_000_000, 3)])
def test_an_evaluation_is_divided_where_that_pays(num_runs, workers, monkeypatch):
    monkeypatch.setattr(parallelism, "available_cores", lambda: 3)
    assert workers_that_pay(make_env, num_runs) == workers


def test_where_there_is_one_core_nothing_is_tried(monkeypatch):
    monkeypatch.setattr(parallelism, "available_cores", lambda: 1)
    assert workers_that_pay(None, 10_000_000) == 1


def test_the_time_of_a_reset_counts(monkeypatch):
    clock = iter([0.0, 16 * 0.5, 16 * 0.5])  # half a second a run
    monkeypatch.setattr(parallelism, "available_cores", lambda: 2)
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert workers_that_pay(make_env, 40) == 2


def test_cores_are_those_that_this_process_may_use():
    assert 1 <= available_cores() <= os.cpu_count()
