"""The tensor programs of a step, eager and compiled."""

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch

from autoloss_gym import AutoLossEnv
from tests.support.compiled_runs import CHECKS
from tests.support.paths import ROOT
from tests.support.toy_tasks import SMALL


@pytest.fixture(scope="module")
def run_check(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], dict[str, str]]]:
    """Runs checks in one process, whose lines beside the answers are a failure as well."""
    command = [sys.executable, "-W", "error::UserWarning", "-m", "tests.support.compiled_runs"]
    errors = tmp_path_factory.mktemp("compiled") / "errors"
    with (
        errors.open("w") as file,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        ) as process,
    ):

        def run(check: str) -> dict[str, str]:
            before = errors.stat().st_size
            process.stdin.write(f"{check}\n")
            process.stdin.flush()
            line = process.stdout.readline()
            said = errors.read_bytes()[before:].decode()
            assert line, said
            answer = json.loads(line)
            return {**answer, "said": answer["said"] + said}

        yield run
        process.stdin.close()


@pytest.mark.parametrize("check", CHECKS)
def test_compiled_environments(check, run_check):
    """Agreement with eager runs, repetition, pickling, and many sizes: see `compiled_runs.py`."""
    done = run_check(check)
    assert not done["failure"], done["failure"]
    # PyTorch's CUDA build says this where there is a compiler for GPUs and no GPU.
    lines = done["said"].splitlines()
    assert [line for line in lines if "No CUDA runtime is found" not in line] == []


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
