"""Trainings that are killed when a checkpoint is stored and its weights are not."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.kills.random_moments import (
    ENVIRONMENT,
    Program,
    next_command,
    only_folder,
    run_to_the_end,
    uninterrupted,
)

SAVES = 10  # of a training
# Its arguments: which of the saves is broken off, then those of a script.
DIES = """
import os, runpy, signal, sys
replace, saves = os.replace, []

def dies_before_the_weights(source, target):
    if str(target).endswith("policy.safetensors"):
        saves.append(target)
        if len(saves) == which:
            os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

which, os.replace, sys.argv = int(sys.argv[1]), dies_before_the_weights, sys.argv[2:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
TRAININGS = [
    Program(
        "train_agent.py",
        f"{ENVIRONMENT} max_steps=20 --algo {algo} --num-envs 8 --n-timesteps {160 * SAVES} "
        f"--checkpoint-every 160 {options}",
        "--log-folder",
        ("policy.safetensors",),
    )
    for algo, options in (("ppo", "-P n_steps=20"), ("reinforce", ""))
]


def reports(kills: int, folder: Path) -> Iterator[str]:
    """A line for each algorithm, with half of the kills; each save is broken off in turn."""
    for index, training in enumerate(TRAININGS):
        own = folder / str(index)
        own.mkdir()
        whole, _ = uninterrupted(training, own / "whole")
        number = (kills + 1 - index) // 2
        same = sum(_is_repaired(training, own / str(n), whole, n % SAVES) for n in range(number))
        algo = training.arguments.partition("--algo ")[2].split()[0]
        yield (
            f"{training.file} --algo {algo}: {number} kills between checkpoint and weights, "
            f"{same} resumed to the same bytes"
        )


def _is_repaired(training: Program, output: Path, whole: Path, save: int) -> bool:
    """Kill a training in the save with that index, resume it, and compare the weights."""
    output.mkdir()
    script = training.start(output)[1:]
    killed = subprocess.run(
        [sys.executable, "-c", DIES, str(save + 1), *script],
        cwd=output.parent,
        check=False,
        capture_output=True,
    )
    if killed.returncode != -signal.SIGKILL:
        raise RuntimeError(f"save {save + 1} was not reached: {killed.stderr.decode()}")
    run_to_the_end(next_command(training, output), output)
    resumed = only_folder(output)
    return all(
        (resumed / name).read_bytes() == (whole / name).read_bytes() for name in training.kept
    )
