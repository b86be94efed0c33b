"""Make the tables of docs/results/: train what is missing, then play every policy on the same
unseen problems.

    python -m studies.tables                    # every table
    python -m studies.tables regression         # one of them
    python -m studies.tables --quick            # the same steps at a small size: do they run?

Everything is kept in <output>/<table>/; a killed command goes on where it was when it is given
again.
"""

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from agents.command_line import OneLineParser, main, positive
from agents.evaluation.statistics import paired_difference
from agents.learners.checkpoints import WEIGHTS
from agents.run_folders import load_configuration
from autoloss_gym.tools.names import unknown
from studies import ROOT

SEEDS = 5
_SOFTADAPT = ("softadapt", "softadapt:normalized", "softadapt:pair", "softadapt:pair,normalized")
_STATIC = ("without_penalty", "1:1", "random", "grid:50", "open_loop")
_JOINT = (*_STATIC, "s1", "s2", "s3", *_SOFTADAPT)
_WEIGHTS = ("control=weights",)
_RULES = ("equal", "softadapt", "softadapt:normalized", "softadapt:loss_weighted", "softadapt:normalized,loss_weighted", "dwa",
          "uncertainty", "gradnorm", "random_weights")  # fmt: skip
_FIXED = ("fixed:0.25", "fixed:0.5", "fixed:2", "fixed:4")
_SPLIT = ("1:1:1", "random", "grid", "open_loop", "softadapt", "softadapt:pair")


@dataclass(frozen=True)
class Table:
    """A table: its environment, the arguments of that, and who plays beside the learners."""

    env: str
    env_kwargs: tuple[str, ...]
    policies: tuple[str, ...]
    learners: tuple[str, ...] = ("ppo", "reinforce")
    n_timesteps: tuple[tuple[str, str], ...] = ()  # of a learner, where its default is too few
    episodes: int | None = None  # where a run takes long


SAME_PROBLEMS = (
    ("regression", "regression_split"),
)  # tables whose runs can be paired with each other

_REGRESSION, _CLASSIFICATION = "AutoLoss/QuadraticRegression-v0", "AutoLoss/MLPClassification-v0"
TABLES = {
    "regression": Table(_REGRESSION, (), ("always:mse", "grid_each", *_JOINT)),
    "regression_split": Table(
        _REGRESSION, ("penalty=split",), _SPLIT, n_timesteps=(("ppo", "1.2e6"),)
    ),
    "diabetes": Table(
        _REGRESSION,
        ("dataset=diabetes",),
        ("always:mse", "grid_each", *_STATIC, *_SOFTADAPT),
        ("ppo",),
    ),
    "make_classification": Table(_CLASSIFICATION, (), ("always:cross_entropy", *_JOINT)),
    "paper_classification": Table(
        _CLASSIFICATION, ("dataset=paper",), ("always:cross_entropy", *_JOINT)
    ),
    "breast_cancer": Table(
        _CLASSIFICATION, ("dataset=breast_cancer",), ("always:cross_entropy", *_JOINT)
    ),
    "weights_regression": Table(
        _REGRESSION, _WEIGHTS, (*_RULES, "random", "open_loop", "grid:50"), ("ppo",)
    ),
    "weights_rosenbrock": Table("AutoLoss/Rosenbrock-v0", _WEIGHTS, _RULES, ("ppo",)),
    "weights_beale": Table("AutoLoss/Beale-v0", _WEIGHTS, _RULES, ("ppo",)),
    "weights_autoencoder": Table(
        "AutoLoss/SparseAutoencoder-v0", _WEIGHTS, (*_RULES, *_FIXED), ("ppo",), episodes=40
    ),
}


@dataclass(frozen=True)
class Size:
    """How much is trained and played; None leaves the learners' own number of steps."""

    seeds: int
    episodes: int
    split: str
    n_timesteps: str | None = None
    policies: tuple[str, ...] | None = None


FULL = Size(SEEDS, 200, "test")
QUICK = Size(1, 4, "validation", "2000", ("round_robin", "random:0.3", "softadapt"))


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
    own, log = folder / f"seed_{seed}", folder / "logs" / f"{algo}_{seed}.txt"
    started = [path.parent for path in own.glob(f"{algo}/*/config.json")]
    if started:
        if not _is_finished(started[0]):
            _run(["train_agent.py", "--resume", str(started[0])], log)
        return
    n_timesteps = size.n_timesteps or dict(TABLES[table].n_timesteps).get(algo)
    steps = ["--n-timesteps", n_timesteps] if n_timesteps else []
    chosen = [
        "--env",
        TABLES[table].env,
        "--algo",
        algo,
        "--seed",
        str(seed),
        *steps,
        "-f",
        str(own),
    ]
    _run(["train_agent.py", *chosen, *_env_kwargs(table)], log)


def evaluate(table: str, size: Size, folder: Path) -> None:
    """Play the table, or go on with it."""
    if any((folder / "evaluation").glob("*/figure.png")):  # the last that is written
        return
    trained = [f"{algo}:{folder}/seed_*/{algo}/*" for algo in TABLES[table].learners]
    episodes = min(size.episodes, TABLES[table].episodes or size.episodes)
    problems = ["--episodes", str(episodes), "--split", size.split]
    policies = ["--policies", *trained, *(size.policies or TABLES[table].policies)]
    command = [
        "--env",
        TABLES[table].env,
        *_env_kwargs(table),
        *problems,
        "-o",
        str(folder / "evaluation"),
        *policies,
    ]
    started = [str(path.parent) for path in (folder / "evaluation").glob("*/command.json")]
    _run(
        ["evaluate.py", *(["--resume", *started] if started else command)],
        folder / "logs" / "evaluation.txt",
    )


def _env_kwargs(table: str) -> list[str]:
    return ["--env-kwargs", *TABLES[table].env_kwargs] if TABLES[table].env_kwargs else []


def _is_finished(run: Path) -> bool:
    """Whether the weights in a run folder have all steps of its configuration behind them."""
    try:
        with safe_open(run / WEIGHTS, framework="numpy") as file:
            return int(file.metadata()["steps"]) >= load_configuration(run).n_timesteps
    except (OSError, SafetensorError, ValueError):
        return False


def _run(command: list[str], log: Path) -> None:
    """Run one of the commands, its output into a file; ValueError with the last line of that if it
    fails.
    """
    print(f"python {' '.join(command)}", flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        ended = subprocess.run(
            [sys.executable, ROOT / command[0], *command[1:]], check=False, stdout=file, stderr=file
        )
    if ended.returncode:
        last = (log.read_text().strip().splitlines() or [""])[-1]
        raise ValueError(f"{command[0]} ended with status {ended.returncode}: {last} (see {log})")


def across(first: Path, second: Path) -> list[str]:
    """Each learner and the best static schedule of one table against those of another on the same
    problems.
    """
    tables = [
        json.loads(next(folder.glob("evaluation/*/results.json")).read_text())
        for folder in (first, second)
    ]
    if tables[0]["instances"] != tables[1]["instances"]:
        raise ValueError(f"{first} and {second} were played on other problems and cannot be paired")
    lines = []
    for name in (
        *TABLES[second.name].learners,
        None,
    ):  # None stands for the best static schedule, which may differ
        one, other = (
            {row["label"]: row for row in table["rows"]}[name or table["reference"]]
            for table in tables
        )
        mean = np.mean(one["best_scores"], axis=0, keepdims=True)
        found = paired_difference(np.array(other["best_scores"]), mean)
        lines.append(
            f"{second.name}, {other['label']}, against {first.name}, {one['label']}, on the same problems: "
            f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
        )
    return lines


def make_tables() -> None:
    arguments = parse_arguments()
    size, started = QUICK if arguments.quick else FULL, time.monotonic()
    tables = list(dict.fromkeys(arguments.tables)) or list(TABLES)
    folders = {
        table: Path(arguments.output) / ("quick" if arguments.quick else "full") / table
        for table in tables
    }
    with ThreadPoolExecutor(arguments.processes) as pool:
        jobs = [
            (table, algo, seed)
            for table in tables
            for algo in TABLES[table].learners
            for seed in range(size.seeds)
        ]
        list(pool.map(lambda job: train(job[0], job[1], job[2], size, folders[job[0]]), jobs))
        list(pool.map(lambda table: evaluate(table, size, folders[table]), tables))
    for table in tables:
        (path,) = folders[table].glob("evaluation/*/table.txt")
        print(f"\n{table} ({path.parent})\n{path.read_text()}")
    for first, second in SAME_PROBLEMS:
        if first in tables and second in tables:
            print("\n".join(across(folders[first], folders[second])))
    print(f"{time.monotonic() - started:.0f} seconds")


if __name__ == "__main__":
    sys.exit(main(make_tables))
