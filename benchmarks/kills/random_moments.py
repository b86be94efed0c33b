"""Commands that are killed after random times, resumed, and killed again, until they are through.

What they end with is compared, byte for byte, with the weights and the table of one that was left
alone.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.configuration import MOST_STEPS
from autoloss_gym.tools.forms import Whole
from autoloss_gym.tools.stored import read_value
from benchmarks import ROOT

ENVIRONMENT = "--env AutoLoss/QuadraticRegression-v1 --env-kwargs dimension=8 num_samples=50"
EVERY = 3840  # environment steps between two checkpoints, one rollout
START_SECONDS = 4  # of a command, in which nothing is done yet


@dataclass(frozen=True)
class Program:
    """A command that is killed.

    Args:
        file: its script.
        arguments: of its start.
        output: the option that names its output folder.
        kept: the files that must be the same bytes in the end.
    """

    file: str
    arguments: str
    output: str
    kept: tuple[str, ...]

    def start(self, folder: Path) -> list[str]:
        return [*self._python, *self.arguments.split(), self.output, str(folder)]

    def resume(self, folder: Path) -> list[str]:
        return [*self._python, "--resume", str(only_folder(folder))]

    @property
    def _python(self) -> list[str]:
        return [sys.executable, str(ROOT / self.file)]


TRAINING = Program(
    "train_agent.py",
    f"{ENVIRONMENT} --algo ppo --n-timesteps 300000 --checkpoint-every {EVERY}",
    "--log-folder",
    ("policy.safetensors",),
)
EVALUATION = Program(
    "evaluate.py",
    f"{ENVIRONMENT} --episodes 2000 --policies grid:8 1:1 softadapt",
    "--output",
    ("table.txt", "results.csv"),
)


def only_folder(output: Path) -> Path:
    """The folder of the only run below `output`."""
    (file,) = [path for name in ("config.json", "command.json") for path in output.rglob(name)]
    return file.parent


def uninterrupted(program: Program, output: Path) -> tuple[Path, float]:
    """The folder that it leaves when it is left alone, and the seconds that it takes."""
    started = time.monotonic()
    run_to_the_end(program.start(output), output)
    return only_folder(output), time.monotonic() - started


def killed_and_resumed(
    program: Program, output: Path, kills: int, seconds: float
) -> tuple[Path, int, int]:
    """Kill it `kills` times, each within `seconds` of its start, resume it, and let it end at last.

    Returns:
        Its folder, the number of kills that hit it while it ran, and the most environment steps
        that a kill took from a training.
    """
    generator = np.random.default_rng(0)
    hits = worst = 0
    for _ in range(kills):
        hits += _killed(next_command(program, output), output, generator.uniform(0, seconds))
        if program is TRAINING and any(output.rglob("progress*.csv")):
            worst = max(worst, lost_steps(only_folder(output)))
    run_to_the_end(next_command(program, output), output)
    return only_folder(output), hits, worst


def next_command(program: Program, output: Path) -> list[str]:
    """Its start, until that has written what a resumption reads."""
    begun = any(output.rglob("c*.json"))
    return program.resume(output) if begun else program.start(output)


def run_to_the_end(command: list[str], output: Path) -> None:
    subprocess.run(command, cwd=output.parent, check=True, capture_output=True)


def _killed(command: list[str], output: Path, seconds: float) -> bool:
    """Run a command and kill it after some seconds, unless it has ended: whether it was hit."""
    process = subprocess.Popen(
        command,
        cwd=output.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    hit = process.poll() is None
    if hit:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return hit


def lost_steps(folder: Path) -> int:
    """Environment steps that were logged after the last checkpoint."""
    saved = 0
    checkpoint = folder / "checkpoint.safetensors"
    if checkpoint.is_file():
        saved = read_value(checkpoint, "counters/num_timesteps", Whole(0, MOST_STEPS))
    newest = max(folder.glob("progress*.csv"), key=lambda path: path.stat().st_mtime_ns)
    header, *lines = newest.read_text().splitlines() or [""]
    if not lines:
        return 0
    column = header.split(",").index("time/total_timesteps")
    lost = 0
    for line in lines:
        cells = line.split(",")
        whole = len(cells) == len(header.split(","))  # the last line may be cut by the kill
        if whole and cells[column]:
            lost = max(lost, int(float(cells[column])) - saved)
    return lost


def reports(kills: int, folder: Path) -> Iterator[str]:
    for program in (TRAINING, EVALUATION):
        own = folder / program.file
        own.mkdir()
        yield _report(program, kills, own)


def _report(program: Program, kills: int, folder: Path) -> str:
    """Kill a program, and compare what it leaves with the files of one that was left alone."""
    whole, seconds = uninterrupted(program, folder / "whole")
    reach = max(5.0, 2 * seconds / kills + START_SECONDS)
    killed, hits, worst = killed_and_resumed(program, folder / "killed", kills, reach)
    same = all((killed / name).read_bytes() == (whole / name).read_bytes() for name in program.kept)
    left = [path.name for path in killed.rglob("*.tmp")]
    lost = ""
    if program is TRAINING:
        lost = f", at most {worst:,} logged steps lost (checkpoints every {EVERY:,})"
    return (
        f"{program.file}: {hits} of {kills} kills hit it{lost}; {', '.join(program.kept)} "
        f"{'the same bytes' if same else 'DIFFER'}; temporary files left: {left or 'none'}"
    )
