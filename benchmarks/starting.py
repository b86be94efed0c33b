"""CPU time until something happens: imports, help, and errors, each in processes of their own.

python -m benchmarks.starting                  # ten processes of each, in turn
"""

import argparse
import resource
import subprocess
import sys

import numpy as np

from agents.command_line import OneLineParser, main
from agents.options import positive
from benchmarks import ROOT

REGRESSION = "AutoLoss/QuadraticRegression-v1"
TYPO = ["--env", REGRESSION, "--env-kwargs", "nois=2"]
COMMANDS = {
    "import torch": ["-c", "import torch"],
    "import autoloss_gym.weightings": ["-c", "import autoloss_gym.weightings"],
    "import autoloss_gym": ["-c", "import autoloss_gym"],
    "train_agent.py --help": ["train_agent.py", "--help"],
    "evaluate.py --help": ["evaluate.py", "--help"],
    "a typo in --env-kwargs, train_agent.py": ["train_agent.py", *TYPO],
    "a typo in --env-kwargs, evaluate.py": ["evaluate.py", *TYPO, "--policies", "1:1"],
}


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=False, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=positive, default=10, help="of each (default: 10)")
    turns = parser.parse_args().turns
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(turns):
        for name, arguments in COMMANDS.items():
            seconds[name].append(cpu_seconds(arguments))
    for name, values in seconds.items():
        ratios = np.array(values) / np.array(seconds["import torch"])
        print(
            f"{name}: {np.median(values):.2f} s of CPU time, "
            f"{np.median(ratios):.2f} × import torch [{ratios.min():.2f}, {ratios.max():.2f}]"
        )


if __name__ == "__main__":
    sys.exit(main(run))
