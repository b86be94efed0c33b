"""Command line of the study."""

import argparse
from pathlib import Path

from agents.command_line import OneLineParser, add_environment_arguments
from agents.options import nonnegative, positive

POLICIES = (
    "1:1",
    *(f"1:{k}" for k in (3, 5, 7, 9, 11)),
    *(f"{k}:1" for k in (3, 5, 7, 9, 11)),
    "balance",
    "random:0.5",
)


def parse_arguments(description: str) -> argparse.Namespace:
    parser = OneLineParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="ratios | transfer")
    ratios = commands.add_parser("ratios")
    transfer = commands.add_parser("transfer")
    _add_ratios(ratios)
    _add_common(ratios, seeds=5, needs_controllers=False)
    _add_transfer(transfer)
    _add_common(transfer, seeds=2, needs_controllers=True)
    return parser.parse_args()


def _add_ratios(parser: argparse.ArgumentParser) -> None:
    shown = " ".join(POLICIES)
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), help=f"default: {shown}")
    parser.add_argument(
        "--every", type=positive, default=250, help="steps between two scores (default: 250)"
    )
    parser.add_argument(
        "--validation-seeds",
        type=positive,
        default=3,
        help="runs that choose the best ratio (default: 3)",
    )


def _add_transfer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ratio", help="the schedule to compare with (default: what the command ratios has chosen)"
    )
    parser.add_argument(
        "--architectures",
        type=nonnegative,
        default=20,
        help="how many; 0 for that of the preset (default: 20)",
    )
    parser.add_argument(
        "--filters",
        type=positive,
        nargs="+",
        default=[8, 16, 32],
        help="default: 8 16 32; AutoLoss: 32 64 128",
    )
    parser.add_argument(
        "--latents",
        type=positive,
        nargs="+",
        default=[16, 32],
        help="default: 16 32; AutoLoss: 64 128",
    )
    parser.add_argument("--dataset", help="default: that of the preset")
    parser.add_argument("--size", type=nonnegative, help="height and width of resized images")


def _add_common(parser: argparse.ArgumentParser, seeds: int, needs_controllers: bool) -> None:
    parser.add_argument(
        "--controllers",
        required=needs_controllers,
        help="run folders of train_agent.py that differ in their seed, as a pattern",
    )
    parser.add_argument(
        "--seeds", type=positive, default=seeds, help=f"runs of each policy (default: {seeds})"
    )
    add_environment_arguments(parser)
    parser.add_argument(
        "--num-workers", type=positive, default=1, help="processes that play (default: 1)"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("results/image_gan"),
        help="default: results/image_gan",
    )
