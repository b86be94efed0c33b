"""Make the tables of docs/results/: train what is missing, then play every policy on the same
unseen problems.

    python -m studies.tables                    # every table
    python -m studies.tables regression         # one of them
    python -m studies.tables --quick            # the same steps at a small size: do they run?

Everything is kept in <output>/<table>/: given again after a kill, a command goes on where it was.
"""

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from agents.command_line import OneLineParser
from agents.evaluation.statistics import paired_difference
from agents.interruption import goes_on
from agents.learners.checkpoints import steps_of_weights
from agents.options import positive
from agents.run_folders import load_configuration
from autoloss_gym.tools.names import unknown
from studies.markdown import interval
from studies.tables.settings import FULL, QUICK, SAME_PROBLEMS, TABLES, Size


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)} (default: all)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one training seed, few steps, four problems"
    )
    parser.add_argument(
        "--processes", type=positive, default=2, help="commands that run at once (default: 2)"
    )
    parser.add_argument(
        "-o",
        "--output",
        default="results/tables",
        help="where everything is kept (default: results/tables)",
    )
    arguments = parser.parse_args()
    for name in arguments.tables:
        if name not in TABLES:
            parser.error(unknown("table", name, TABLES))
    return arguments


def train(table: str, algo: str, seed: int, size: Size, folder: Path) -> None:
    """Train one learner, or go on with its training."""
    own = folder / f"seed_{seed}"
    log = folder / "logs" / f"{algo}_{seed}.txt"
    started = next(own.glob(f"{algo}/*/config.json"), None)
    if started:
        if not _is_finished(started.parent):
            _run(["train_agent.py", "--resume", str(started.parent)], log)
        return

    chosen = TABLES[table]
    command = ["--env", chosen.env, "--algo", algo, "--seed", str(seed)]
    n_timesteps = size.n_timesteps or dict(chosen.n_timesteps).get(algo)
    if n_timesteps:
        command += ["--n-timesteps", n_timesteps]
    _run(["train_agent.py", *command, "-f", str(own), *_env_kwargs(table)], log)


def evaluate(table: str, size: Size, folder: Path) -> None:
    """Play the table, or go on with it."""
    output = folder / "evaluation"
    log = folder / "logs" / "evaluation.txt"
    if any(output.glob("*/figure.png")):  # the last file that is written
        return
    started = next(output.glob("*/command.json"), None)
    if started:
        _run(["evaluate.py", "--resume", str(started.parent)], log)
        return

    chosen = TABLES[table]
    trained = [f"{algo}:{folder}/seed_*/{algo}/*" for algo in chosen.learners]
    episodes = min(size.episodes, chosen.episodes or size.episodes)
    # The tables name all that is compared.
    problems = ["--episodes", str(episodes), "--split", size.split, "--without-constant"]
    policies = ["--policies", *trained, *(size.policies or chosen.policies)]
    environment = ["--env", chosen.env, *_env_kwargs(table)]
    _run(["evaluate.py", *environment, *problems, "-o", str(output), *policies], log)


def _env_kwargs(table: str) -> list[str]:
    given = TABLES[table].env_kwargs
    return ["--env-kwargs", *given] if given else []


def _is_finished(run: Path) -> bool:
    """Whether the weights in a run folder are those after all steps of its configuration."""
    try:
        return steps_of_weights(run) >= load_configuration(run).n_timesteps
    except ValueError:
        return False


def _run(command: list[str], log: Path) -> None:
    """Run one of the commands, its output into a file.

    Raises:
        ValueError: the command fails; the message has the last line of its output.
    """
    print(f"python {' '.join(command)}", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    child = [sys.executable, "-m", "studies.tables.child", *command]
    with (
        log.open("w") as file,
        subprocess.Popen(child, stdin=subprocess.PIPE, stdout=file, stderr=file) as process,
    ):
        status = process.wait()
    if status:
        lines = log.read_text().strip().splitlines() or [""]
        raise ValueError(f"{command[0]} ended with status {status}: {lines[-1]} (see {log})")


def across(first: Path, second: Path) -> list[str]:
    """Each learner and the best static schedule of one table against those of another.

    Both must have been played on the same problems.
    """
    one, other = _results(first), _results(second)
    if one["instances"] != other["instances"]:
        raise ValueError(f"{first} and {second} were played on other problems and cannot be paired")

    names = [(learner, learner) for learner in TABLES[second.name].learners]
    names.append((one["reference"], other["reference"]))  # the best static schedules may differ
    lines = []
    for name, other_name in names:
        scores = np.array(_scores(one, name)).mean(axis=0, keepdims=True)
        found = paired_difference(np.array(_scores(other, other_name)), scores)
        lines.append(
            f"{second.name}, {other_name}, against {first.name}, {name}, on the same problems: "
            f"{interval(found, '+.3f')}"
        )
    return lines


def _results(folder: Path) -> dict:
    return json.loads(next(folder.glob("evaluation/*/results.json")).read_text())


def _scores(results: dict, label: str) -> list[list[float]]:
    """Best scores of a policy, (training seeds, problems)."""
    return next(row["best_scores"] for row in results["rows"] if row["label"] == label)


def make_tables() -> None:
    arguments = parse_arguments()
    started = time.monotonic()
    size = QUICK if arguments.quick else FULL
    output = Path(arguments.output) / ("quick" if arguments.quick else "full")
    goes_on(lambda: f"{output} holds what is finished: the same command goes on with it")
    folders = {table: output / table for table in dict.fromkeys(arguments.tables or TABLES)}

    with ThreadPoolExecutor(arguments.processes) as pool:
        trainings = []
        for table, folder in folders.items():
            for algo in TABLES[table].learners:
                for seed in range(size.seeds):
                    trainings.append((table, algo, seed, size, folder))
        # `map` drops the jobs that wait as soon as one has failed.
        list(pool.map(lambda training: train(*training), trainings))
        list(pool.map(lambda table: evaluate(table, size, folders[table]), folders))

    for table, folder in folders.items():
        (path,) = folder.glob("evaluation/*/table.txt")
        print(f"\n{table} ({path.parent})\n{path.read_text()}")
    for first, second in SAME_PROBLEMS:
        if first in folders and second in folders:
            print("\n".join(across(folders[first], folders[second])))
    print(f"{time.monotonic() - started:.0f} seconds")
