"""The command that searches an algorithm's hyper-parameters."""

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from autoloss_gym.tools.names import unknown

from ..command_line import (
    add_environment,
    add_num_threads,
    check_arguments,
    check_environment,
    check_resumed_environment,
    command_parser,
    environment_arguments,
    refuse_beside_resume,
)
from ..configuration import MOST_RUNS, WITH_POLICY
from ..interruption import ending_at_once, resume_command
from ..options import nonnegative, positive, runs, whole
from ..playing_arguments import add_folders
from ..tuning.settings import MOST_SEEDS, MOST_TRIALS, Settings, load_settings, storage_kind
from .train import resolve

DESCRIPTION = """\
Search an algorithm's hyper-parameters on validation problems.

    {command} --env AutoLoss/QuadraticRegression-v1 --algo ppo --trials 40

The first trial has the values of the algorithm's own file, or of --conf-file; Optuna chooses the
others, and ends those early that are worse than half of the trials before. The best settings are
then compared with the first ones, by trainings with new seeds on new problems. They are written to
<output>/<algo>/<env>_<n>/best.yml, which `train --conf-file` takes.

Any number of processes work on one study: `{command} --resume <folder>` joins it, and goes on with
it after a kill. A trial whose process was killed is played again."""


def tune(given: Sequence[str] | None = None, program: str | None = None) -> None:
    """Search as the arguments say, print the best trials and the file with the best settings.

    Args:
        given: the arguments, by default those of the process.
        program: its name in help and errors, by default that of the script.
    """
    arguments = parse_arguments(given, program)
    folder = Path(arguments.resume) if arguments.resume else None
    if folder:
        settings = load_settings(folder)
        check_resumed_environment(settings.configuration.env, arguments.env)
        environment_arguments(list(settings.configuration.env_kwargs.items()))
    else:
        settings = _settings(arguments)
    spec = check_environment(settings.configuration.env)
    check_arguments(spec, settings.configuration.env_kwargs)
    if importlib.util.find_spec("optuna") is None:
        raise ValueError("optuna is needed here: pip install 'autoloss_gym[tune]'")

    with ending_at_once():
        import torch

        from ..tuning.tuning import begin, join

    threads = arguments.num_threads
    torch.set_num_threads(threads)
    options = [f"--num-threads {threads}"] if threads > 1 else []
    if settings.storage != "journal":
        options.append("--storage …")  # an address may hold a password
    joining = resume_command(program, settings.configuration.env, options)
    if folder:
        join(folder, arguments.storage, joining)
    else:
        begin(settings, arguments.output, arguments.storage, joining)


def parse_arguments(given: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The arguments, checked as far as they can be without the environment."""
    parser = command_parser(program, DESCRIPTION)
    _add_training_arguments(parser)
    _add_search_arguments(parser)
    _add_folder_arguments(parser)
    arguments = parser.parse_args(given)
    if arguments.resume:
        refuse_beside_resume(parser, arguments, allowed=("num_threads", "env", "storage"))
    elif not arguments.env:
        parser.error("expected --env, or --resume FOLDER")
    return arguments


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    add_environment(parser)
    parser.add_argument(
        "--algo",
        type=_algorithm,
        default="group",
        help=f"{', '.join(WITH_POLICY)} (default: group)",
    )
    parser.add_argument(
        "--conf-file",
        help="YAML file of the values to begin with (default: the algorithm's own)",
    )
    parser.add_argument("--num-envs", type=runs, help="training runs in the batch")
    parser.add_argument("--n-timesteps", type=positive, help="environment steps of a trial")
    parser.add_argument(
        "--seed",
        type=nonnegative,
        default=0,
        help="seed of search, learners and problems (default: 0)",
    )
    add_num_threads(parser)


def _add_search_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trials",
        type=whole(1, MOST_TRIALS),
        default=40,
        help="of the whole study, by all its workers (default: 40)",
    )
    parser.add_argument(
        "--episodes",
        type=whole(1, MOST_RUNS // 2),
        default=64,
        help="validation problems that a trial is scored on; as many others confirm (default: 64)",
    )
    parser.add_argument(
        "--no-pruning",
        action="store_true",
        help="play every trial to its end",
    )
    parser.add_argument(
        "--confirm-seeds",
        type=whole(0, MOST_SEEDS),
        default=5,
        metavar="N",
        help="trainings of the best settings and of the first ones at the end; 0 for none "
        "(default: 5)",
    )


def _add_folder_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage",
        metavar="FILE|URL",
        help="journal, or database such as sqlite:///study.db, that records the trials (default: a "
        "journal in the folder)",
    )
    resuming = "join the study of that folder, or go on with it, with its arguments"
    add_folders(parser, "results/tuning", resuming)


def _settings(arguments: argparse.Namespace) -> Settings:
    """The settings of a new study, whose name is not yet known."""
    arguments.hyperparams = []
    arguments.checkpoint_every = None
    storage = arguments.storage
    if storage == "":
        raise ValueError("--storage '': expected a file, or the address of a database")
    return Settings(
        configuration=resolve(arguments),
        name="",
        storage=storage_kind(storage),
        trials=arguments.trials,
        episodes=arguments.episodes,
        confirm_seeds=arguments.confirm_seeds,
        pruning=not arguments.no_pruning,
    )


def _algorithm(text: str) -> str:
    if text not in WITH_POLICY:
        raise argparse.ArgumentTypeError(unknown("algorithm with a policy", text, WITH_POLICY))
    return text
