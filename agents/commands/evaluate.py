"""The command that compares policies."""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from ..command_line import (
    add_environment,
    add_problem_seed,
    check_arguments,
    check_environment,
    check_resumed_environment,
    command_parser,
    environment_arguments,
    find_modules_in_working_folder,
    refuse_beside_resume,
)
from ..interruption import ending_at_once, resume_command
from ..options import runs
from ..playing_arguments import (
    WHO_PLAYS,
    add_cluster,
    add_playing_arguments,
    add_runs_per_cell,
    check_who_plays,
    take_who_plays,
)
from ..policies import grammar
from ..run_folders import load_command
from .advise import FLAG, advise

DESCRIPTION = """\
Benchmark policies on the same unseen problems.

    {command} --env AutoLoss/QuadraticRegression-v1 --policies 'ppo:runs/ppo/*' softadapt grid

Prints a table and writes it, with the figures of every problem and a picture, to
<output>/<env>_<n>/. Finished batches are kept there too: after a kill,
`{command} --resume <output>/<env>_<n>` goes on where it was, to the same table.

policies:
"""


def evaluate(given: Sequence[str] | None = None, program: str | None = None) -> None:
    """Compare policies as the arguments say, print the table and the files that keep it.

    Args:
        given: the arguments, by default those of the process.
        program: its name in help and errors, by default that of the script.
    """
    given = sys.argv[1:] if given is None else given
    if FLAG in given:
        advise([each for each in given if each != FLAG], program, flags=[FLAG])
        return
    arguments = parse_arguments(given, program)
    spec = check_environment(arguments.env)
    texts = dict.fromkeys(arguments.policies)  # each once
    if any(":" in text for text in texts):
        find_modules_in_working_folder()
    specifications = [grammar.parse_specification(text) for text in texts]
    if not arguments.trust_checkpoint:
        refuse_what_runs_code(specifications, resumed=bool(arguments.resume))
    env_kwargs = environment_arguments(arguments.env_kwargs)
    check_arguments(spec, env_kwargs)
    check_who_plays(arguments, env_kwargs)
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError("the figure needs matplotlib: pip install 'autoloss_gym[agents]'")

    with ending_at_once():
        from .benchmark import compare

    trusts = arguments.trust_checkpoint or any(each.own_module for each in specifications)
    options = ["--trust-checkpoint"] if trusts else []
    resumption = resume_command(program, arguments.env, options)
    compare(arguments, specifications, env_kwargs, resumption)


def parse_arguments(given: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The arguments, or those of the evaluation that is resumed."""
    parser = command_parser(program, DESCRIPTION + grammar.HELP)
    _add_benchmark_arguments(parser)
    _add_playing_arguments(parser)
    arguments = parser.parse_args(given)
    if arguments.resume:
        refuse_beside_resume(parser, arguments, ("trust_checkpoint", "env", *WHO_PLAYS))
        resumed = load_command(Path(arguments.resume))
        check_resumed_environment(resumed.env, arguments.env)
        resumed.trust_checkpoint = arguments.trust_checkpoint
        take_who_plays(resumed, arguments)
        return resumed
    if not (arguments.env and arguments.policies):
        parser.error("expected --env and --policies, or --resume FOLDER alone")
    return arguments


def _add_benchmark_arguments(parser: argparse.ArgumentParser) -> None:
    add_environment(parser)
    parser.add_argument(
        "--policies",
        nargs="+",
        metavar="POLICY",
        help="what to compare, see below",
    )
    parser.add_argument(
        FLAG,
        action="store_true",
        default=argparse.SUPPRESS,  # never parsed: with it, another command has the arguments
        help=f"measure instead what a controller could gain; {FLAG} --help says more",
    )
    parser.add_argument(
        "--without-constant",
        action="store_true",
        help="do not add the policy constant:20 where a trained policy would be compared with no "
        "constant, grid or random that is chosen on validation problems",
    )
    parser.add_argument(
        "--episodes",
        type=runs,
        default=200,
        help="problems for each policy (default: 200)",
    )
    parser.add_argument(
        "--split",
        choices=("test", "validation", "train"),
        default="test",
        help="where the problems come from (default: test)",
    )
    add_problem_seed(parser)


def _add_playing_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="trained policies take their most probable action instead of drawing one",
    )
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="allow what can run code: .zip files of Stable-Baselines3, and with --resume the "
        "folder's policies module:Class",
    )
    add_playing_arguments(parser, "results", "evaluation")
    add_cluster(parser)
    add_runs_per_cell(parser)


def refuse_what_runs_code(specifications: Sequence[grammar.Specification], resumed: bool) -> None:
    """ValueError for a pickled model, and for a module that only the resumed folder names."""
    for each in specifications:
        if each.zip_file:
            raise ValueError(
                f"policy {each.text!r}: a .zip file of Stable-Baselines3 can run code when it is "
                "read; add --trust-checkpoint if you trust where it comes from"
            )
        if each.own_module and resumed:
            raise ValueError(
                f"policy {each.text!r}: a file names this module, and importing it runs code; add "
                "--trust-checkpoint if you trust where it comes from"
            )
