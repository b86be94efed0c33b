"""The tensor programs of a step, eager and compiled."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch

from autoloss_gym import AutoLossEnv
from tests.support.compiled_runs import CHECKS
from tests.support.paths import ROOT
from tests.support.toy_tasks import SMALL


@pytest.mark.parametrize("check", CHECKS)
def test_compiled_environments(check):
    """Agreement with eager runs, repetition, pickling, and many sizes: see `compiled_runs.py`."""
    command = [
        sys.executable,
        "-W",
        "error::UserWarning",
        "-m",
        "tests.support.compiled_runs",
        check,
    ]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # PyTorch's CUDA build says this where there is a compiler for GPUs and no GPU.
    said = [line for line in done.stderr.splitlines() if "No CUDA runtime is found" not in line]
    assert said == []


def test_what_cannot_be_compiled_says_so_in_one_line(monkeypatch):
    def refuse(*arguments, **options):
        def fail(*arguments):
            raise OSError("no C++ compiler\nand a long explanation")

        return fail

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(
        RuntimeError,
        match=r"compile=True: observe could not be compiled \(no C\+\+ compiler\); use",
    ) as caught:
        AutoLossEnv(SMALL, compile=True).reset(seed=0)
    assert "\n" not in str(caught.value)


def test_a_task_can_be_copied_and_pickled_after_use():
    AutoLossEnv(SMALL).reset(seed=0)
    assert pickle.loads(pickle.dumps(SMALL)) == copy.deepcopy(SMALL) == SMALL
