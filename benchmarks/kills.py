"""Kill trainings and evaluations at random moments, again and again, and see what is lost.

    python -m benchmarks.kills                 # 20 kills of a training and 20 of an evaluation

A training is killed after a random time, resumed with `--resume`, killed again, until it is
through; so is an evaluation. What they end with is compared, byte for byte, with the weights and
the table of one that was left alone.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from agents.command_line import OneLineParser, main, positive
from benchmarks import ROOT

ENVIRONMENT = [
    "--env",
    "AutoLoss/QuadraticRegression-v0",
    "--env-kwargs",
    "dimension=8",
    "num_samples=50",
]
EVERY = 3840  # environment steps between two checkpoints, one rollout
TRAINING = [
    *ENVIRONMENT,
    "--algo",
    "ppo",
    "--n-timesteps",
    "300000",
    "--checkpoint-every",
    str(EVERY),
]
EVALUATION = [*ENVIRONMENT, "--episodes", "2000", "--policies", "grid:8", "1:1", "softadapt"]
KEPT = {"train_agent.py": ("policy.safetensors",), "evaluate.py": ("table.txt", "results.csv")}


def command(program: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, str(ROOT / program), *map(str, arguments)]


def uninterrupted(program: str, arguments: list[str], output: Path) -> tuple[Path, float]:
    """The folder that it leaves, and the seconds that it took."""
    started = time.monotonic()
    flag = "--log-folder" if program == "train_agent.py" else "--output"
    subprocess.run(
        command(program, *arguments, flag, output),
        cwd=output.parent,
        check=True,
        capture_output=True,
    )
    return only_folder(output), time.monotonic() - started


def only_folder(output: Path) -> Path:
    """The folder of the only run below `output`."""
    (file,) = [path for name in ("config.json", "command.json") for path in output.rglob(name)]
    return file.parent


def killed_and_resumed(
    program: str, arguments: list[str], output: Path, kills: int, seconds: float
) -> tuple[Path, int, int]:
    """Kill it `kills` times, resuming it each time, then let it end.

    Returns:
        Its folder, how many kills hit it while it ran, and the most environment steps that a kill
        took from a training.
    """
    generator, hits, worst = np.random.default_rng(0), 0, 0
    flag = "--log-folder" if program == "train_agent.py" else "--output"
    start = command(program, *arguments, flag, output)
    for _ in range(kills):
        begun = any(output.rglob("c*.json"))
        process = subprocess.Popen(
            command(program, "--resume", only_folder(output)) if begun else start,
            cwd=output.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(generator.uniform(0, seconds))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            hits += 1
        process.wait()
        if program == "train_agent.py" and any(output.rglob("progress*.csv")):
            worst = max(worst, lost_steps(only_folder(output)))
    if not any(output.rglob("c*.json")):
        subprocess.run(start, cwd=output.parent, check=True, capture_output=True)
    else:
        subprocess.run(
            command(program, "--resume", only_folder(output)),
            cwd=output.parent,
            check=True,
            capture_output=True,
        )
    return only_folder(output), hits, worst


def lost_steps(folder: Path) -> int:
    """Environment steps that were logged after the last checkpoint."""
    import torch  # noqa: PLC0415 (the other half of this script needs no PyTorch)

    checkpoint = folder / "checkpoint.pt"
    saved = (
        torch.load(checkpoint, weights_only=True)["counters"]["num_timesteps"]
        if checkpoint.is_file()
        else 0
    )
    newest = max(folder.glob("progress*.csv"), key=lambda path: path.stat().st_mtime_ns)
    header, *lines = newest.read_text().splitlines() or [""]
    column = header.split(",").index("time/total_timesteps") if lines else 0
    logged = [line.split(",")[column] for line in lines if line.count(",") == header.count(",")]
    return max([0, *(int(float(steps)) - saved for steps in logged if steps)])


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=positive, default=20, help="of each (default: 20)")
    arguments = parser.parse_args()
    for program, chosen in (("train_agent.py", TRAINING), ("evaluate.py", EVALUATION)):
        with TemporaryDirectory() as name:
            whole, seconds = uninterrupted(program, chosen, Path(name) / "whole")
            reach = max(
                5.0, 2 * seconds / arguments.kills + 4
            )  # a start takes some seconds, in which nothing is done yet
            folder, hits, worst = killed_and_resumed(
                program, chosen, Path(name) / "killed", arguments.kills, reach
            )
            same = all(
                (folder / file).read_bytes() == (whole / file).read_bytes()
                for file in KEPT[program]
            )
            left = [path.name for path in folder.rglob("*.tmp")]
            lost = (
                f", at most {worst:,} logged steps lost (checkpoints every {EVERY:,})"
                if program == "train_agent.py"
                else ""
            )
            print(f"{program}: {hits} of {arguments.kills} kills hit it{lost}; {', '.join(KEPT[program])} "
                  f"{'the same bytes' if same else 'DIFFER'}; temporary files left: {left or 'none'}", flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(run))
