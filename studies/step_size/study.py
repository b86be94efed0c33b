"""Tuning a step size by learning to learn (Wang, Yuan, Wu, Ge, ICML 2021), part by part.

    python -m studies.step_size                      # all parts: tables, pictures in docs/results/
    python -m studies.step_size gradients descent    # some of them
    python -m studies.step_size --quick              # small sizes, to see that all is well

A part prints its tables in Markdown and draws a picture of its own.
"""

import argparse
import importlib
from pathlib import Path

import torch

from agents.command_line import OneLineParser
from agents.options import positive
from autoloss_gym.tools.names import unknown
from studies import ROOT
from studies.step_size.settings import Settings

# Each part is a module with a function `run(settings)`.
PARTS = {
    "gradients": "studies.step_size.gradients",
    "descent": "studies.step_size.descent",
    "horizon": "studies.step_size.horizon",
    "validation": "studies.step_size.validation",
    "regression": "studies.step_size.regression",
    "learned": "studies.step_size.learned",
    "controllers": "studies.step_size.controllers.study",
}


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)"
    )
    parser.add_argument("--seeds", type=positive, default=5, help="default: 5")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=ROOT / "docs" / "results",
        help="folder of the pictures (default: docs/results)",
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("results/step_size"),
        help="where trainings of controllers are kept (default: results/step_size)",
    )
    arguments = parser.parse_args()
    for name in arguments.parts:
        if name not in PARTS:
            parser.error(unknown("part", name, PARTS))
    if not arguments.output.is_dir():
        parser.error(f"--output {arguments.output}: there is no such folder")
    return arguments


def run() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    settings = Settings(arguments.output, arguments.seeds, arguments.quick, arguments.results)
    for name in dict.fromkeys(arguments.parts or PARTS):
        print(f"\n## {name}\n", flush=True)
        importlib.import_module(PARTS[name]).run(settings)
