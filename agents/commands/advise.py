"""The command that measures whether a controller is worth training."""

import argparse
import importlib.util
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
    refuse_beside_resume,
)
from ..interruption import ending_at_once, resume_command
from ..options import share, whole
from ..playing_arguments import add_playing_arguments
from ..run_folders import load_advice

FLAG = "--headroom"  # of `evaluate`, which calls this command
DESCRIPTION = """\
Measure what could be gained before a controller is trained, and say what to use.

    {command} --env AutoLoss/QuadraticRegression-v1

Chooses a constant and a schedule of loss weights and step size on training problems; on validation
problems it lets every problem try several constants, and clones running training runs, shifts
their schedule and plays them to the end. Prints a table, recommends a constant, an open loop, a
search for each problem or a controller, and writes both with a picture to <output>/<env>_<n>/.
Finished batches are kept there: after a kill, `{command} --resume <output>/<env>_<n>` goes on."""

_FEWEST_EPISODES = 4  # the fitted rule learns from some and is judged on the others
_MOST = 2**18  # a quarter of the numbers of problems that a seed has


def advise(
    given: Sequence[str] | None = None, program: str | None = None, flags: Sequence[str] = ()
) -> None:
    """Measure as the arguments say, print the table and the files that keep it.

    Args:
        given: the arguments, by default those of the process.
        program: its name in help and errors, by default that of the script.
        flags: what the program needs before these arguments to be this command.
    """
    arguments = parse_arguments(given, program)
    spec = check_environment(arguments.env)
    env_kwargs = environment_arguments(arguments.env_kwargs)
    check_arguments(spec, env_kwargs)
    for module in ("matplotlib", "cmaes"):
        if importlib.util.find_spec(module) is None:
            raise ValueError(f"{module} is needed here: pip install 'autoloss_gym[agents]'")

    with ending_at_once():
        from .headroom import measure_headroom

    resumption = resume_command(program, arguments.env, flags)
    measure_headroom(arguments, env_kwargs, resumption)


def parse_arguments(given: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The arguments, or those of the measurement that is resumed."""
    parser = command_parser(program, DESCRIPTION)
    add_environment(parser)
    _add_sizes(parser)
    add_playing_arguments(parser, "results/headroom", "measurement")
    arguments = parser.parse_args(given)
    if arguments.resume:
        refuse_beside_resume(parser, arguments, allowed=("env",))
        resumed = load_advice(Path(arguments.resume))
        check_resumed_environment(resumed.env, arguments.env)
        return resumed
    if not arguments.env:
        parser.error("expected --env, or --resume FOLDER alone")
    return arguments


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--episodes",
        type=whole(_FEWEST_EPISODES, _MOST),
        default=200,
        help="validation problems that the figures are of (default: 200)",
    )
    parser.add_argument(
        "--constants",
        type=whole(1, 1000),
        default=50,
        help="constants beside the default training; each problem tries them (default: 50)",
    )
    parser.add_argument(
        "--budget",
        type=whole(1, _MOST),
        default=2000,
        metavar="RUNS",
        help="training runs for the choice of a constant and a schedule (default: 2000)",
    )
    parser.add_argument(
        "--moments",
        type=share,
        nargs="+",
        default=[0.2, 0.5, 0.8],
        metavar="SHARE",
        help="shares of the budget after which runs are cloned (default: 0.2 0.5 0.8)",
    )
    parser.add_argument(
        "--draw",
        action="store_true",
        help="weights are probabilities of pairs, one of which is drawn for each update; always so "
        "where no parameters have several losses",
    )
    add_problem_seed(parser)
