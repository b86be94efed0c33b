"""The command that trains many configurations and compares them."""

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from ..command_line import (
    add_num_threads,
    check_arguments,
    check_environment,
    check_resumed_environment,
    command_parser,
    find_modules_in_working_folder,
    refuse_beside_resume,
)
from ..interruption import ending_at_once, resume_command
from ..playing_arguments import (
    WHO_PLAYS,
    add_cluster,
    add_folders,
    add_workers,
    check_who_plays,
    take_who_plays,
)
from ..policies import grammar
from ..run_folders import load_sweep_command
from ..sweeps.configuration import load_sweep, read_sweep
from .evaluate import refuse_what_runs_code

DESCRIPTION = """\
Train every combination of settings with every seed, then compare all on the same problems.

    {command} sweep.yml

where sweep.yml says what is trained; a list of values is tried value by value:

    env: AutoLoss/QuadraticRegression-v1
    env_kwargs: {dataset: synthetic}
    trainings:
      - algo: ppo
        n_timesteps: 50000
        hyperparams: {learning_rate: [3e-4, 1e-3]}
      - algo: group
    seeds: 5                      # 0 to 4; or a list
    policies: [grid, softadapt]   # to compare with
    episodes: 200                 # problems of the table; split, seed and deterministic as of
                                  # evaluate

Prints one table and writes it, with the trainings, to <output>/<env>_<n>/. Every training and every
batch of the comparison is a cell whose result is a file there: after a kill,
`{command} --resume <output>/<env>_<n>` goes on, with any number of workers or machines."""


def sweep(given: Sequence[str] | None = None, program: str | None = None) -> None:
    """Train and compare as a file says, print the table and the files that keep it.

    Args:
        given: the arguments, by default those of the process.
        program: its name in help and errors, by default that of the script.
    """
    arguments = parse_arguments(given, program)
    chosen = read_sweep(arguments.content)
    check_resumed_environment(chosen.env, arguments.env)
    arguments.env = chosen.env
    spec = check_environment(chosen.env)
    check_arguments(spec, chosen.env_kwargs)
    check_who_plays(arguments, chosen.env_kwargs)
    if any(":" in text for text in chosen.policies):
        find_modules_in_working_folder()
    specifications = [grammar.parse_specification(text) for text in chosen.policies]
    if not arguments.trust_checkpoint:
        refuse_what_runs_code(specifications, resumed=True)
    for training in chosen.trainings:
        chosen.configuration(training, chosen.seeds[0])
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError("the figure needs matplotlib: pip install 'autoloss_gym[agents]'")

    with ending_at_once():
        from .sweeping import run_sweep

    options = ["--trust-checkpoint"] if arguments.trust_checkpoint else []
    run_sweep(arguments, chosen, specifications, resume_command(program, chosen.env, options))


def parse_arguments(given: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The arguments with the content of their file, or those of the sweep that is resumed."""
    parser = command_parser(program, DESCRIPTION)
    parser.add_argument("file", nargs="?", metavar="FILE.yml", help="what is trained")
    parser.add_argument("--env", help="the file's environment again, where it is one of a module")
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="allow what can run code: .zip files of Stable-Baselines3 and policies module:Class",
    )
    add_workers(parser, "1")
    add_cluster(parser)
    add_num_threads(parser)
    add_folders(parser, "sweeps", "go on with the sweep of that folder, as its file said")
    arguments = parser.parse_args(given)
    if arguments.resume:
        refuse_beside_resume(parser, arguments, ("trust_checkpoint", "env", *WHO_PLAYS))
        resumed = load_sweep_command(Path(arguments.resume))
        resumed.env, resumed.trust_checkpoint = arguments.env, arguments.trust_checkpoint
        take_who_plays(resumed, arguments)
        return resumed
    if not arguments.file:
        parser.error("expected FILE.yml, or --resume FOLDER alone")
    arguments.content = load_sweep(Path(arguments.file))
    arguments.num_workers = arguments.num_workers or 1
    return arguments
