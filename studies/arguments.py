"""Options that several studies have."""

import argparse
from pathlib import Path

from studies import ROOT


def add_folders(parser: argparse.ArgumentParser, name: str) -> None:
    """Where the page of a study is written, and where its work is kept."""
    parser.add_argument(
        "--docs",
        type=Path,
        default=ROOT / "docs" / "results",
        help="folder of page and pictures (default: docs/results; with --quick, <output>/quick)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("results") / name,
        help=f"where all is kept (default: results/{name})",
    )
