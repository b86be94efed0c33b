"""The command that compares policies."""

import argparse
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..command_line import (
    check_arguments,
    check_environment,
    command_parser,
    environment_arguments,
    key_value,
    nonnegative,
    positive,
    refuse_beside_resume,
)
from ..policies import grammar
from ..progress import Progress, show_progress
from ..run_folders import load_command, new_run_folder, save_command

if TYPE_CHECKING:
    from ..policies.catalogue import Entrant

DESCRIPTION = """\
Benchmark policies on the same unseen problems.

    {command} --env AutoLoss/QuadraticRegression-v0 --policies 'ppo:runs/ppo/*' softadapt grid

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
    arguments = parse_arguments(given, program)
    spec = check_environment(arguments.env)
    texts = dict.fromkeys(arguments.policies)  # each once
    specifications = [grammar.parse_specification(text) for text in texts]
    _check_trust(specifications, arguments.trust_checkpoint)
    env_kwargs = environment_arguments(arguments.env_kwargs)
    check_arguments(spec, env_kwargs)
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError("the figure needs matplotlib: pip install 'autoloss_gym[agents]'")

    import torch

    from ..environments import EnvironmentMaker
    from ..evaluation.comparison import run_benchmark
    from ..evaluation.report import real_data, save_report, text_table
    from ..policies.catalogue import make_entrants, warnings

    torch.set_num_threads(arguments.num_threads)

    def make_env(split: str) -> EnvironmentMaker:
        return EnvironmentMaker(arguments.env, {**env_kwargs, "split": split})

    task = make_env(arguments.split)(num_envs=1).task
    entrants = make_entrants(specifications, task, arguments.env, arguments.deterministic)
    folder = _result_folder(arguments)
    with show_progress("training runs", lines=1) as progress:
        benchmark = run_benchmark(
            entrants,
            make_env,
            arguments.split,
            arguments.episodes,
            arguments.seed,
            _announcer(progress, entrants, arguments.split),
            folder / "episodes",
            arguments.num_workers,
        )
    title = _title(arguments, env_kwargs)
    lines = [*real_data(task, arguments.split), *warnings(entrants, env_kwargs)]
    print(title)
    print(text_table(benchmark, lines))
    for path in save_report(benchmark, lines, title, folder, vars(arguments)):
        print(path)


def parse_arguments(given: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The arguments, or those of the evaluation that is resumed."""
    parser = command_parser(program, DESCRIPTION + grammar.HELP)
    _add_benchmark_arguments(parser)
    _add_machine_arguments(parser)
    arguments = parser.parse_args(given)
    if arguments.resume:
        refuse_beside_resume(parser, arguments, allowed=("trust_checkpoint",))
        stored = [name for name in vars(arguments) if name not in ("resume", "trust_checkpoint")]
        resumed = load_command(Path(arguments.resume), stored)
        resumed.trust_checkpoint = arguments.trust_checkpoint
        return resumed
    if not (arguments.env and arguments.policies):
        parser.error("expected --env and --policies, or --resume FOLDER alone")
    return arguments


def _add_benchmark_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--env",
        help="environment id, or module:id where the module registers it",
    )
    parser.add_argument(
        "--env-kwargs",
        type=key_value,
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="arguments of the environment and its task",
    )
    parser.add_argument(
        "--policies",
        nargs="+",
        metavar="POLICY",
        help="what to compare, see below",
    )
    parser.add_argument(
        "--episodes",
        type=positive,
        default=200,
        help="problems for each policy (default: 200)",
    )
    parser.add_argument(
        "--split",
        choices=("test", "validation", "train"),
        default="test",
        help="where the problems come from (default: test)",
    )
    parser.add_argument(
        "--seed",
        type=nonnegative,
        default=0,
        help="numbers the problems (default: 0)",
    )
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="trained policies take their most probable action instead of drawing one",
    )


def _add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="read .zip files of Stable-Baselines3, which can run code",
    )
    parser.add_argument(
        "--num-workers",
        type=positive,
        default=1,
        help="processes that play, best one a core (default: 1)",
    )
    parser.add_argument(
        "--num-threads",
        type=positive,
        default=1,
        help="PyTorch threads (default: 1)",
    )
    parser.add_argument(
        "-o",
        "--output",
        default="results",
        help="where the result folder is made (default: results)",
    )
    parser.add_argument(
        "--resume",
        metavar="FOLDER",
        help="go on with the evaluation of that folder, with its arguments",
    )


def _check_trust(specifications: Sequence[grammar.Specification], trusted: bool) -> None:
    """ValueError for a file that could run code, unless the user trusts it."""
    for each in specifications:
        if each.zip_file and not trusted:
            raise ValueError(
                f"policy {each.text!r}: a .zip file of Stable-Baselines3 can run code when it is "
                "read; add --trust-checkpoint if you trust where it comes from"
            )


def _result_folder(arguments: argparse.Namespace) -> Path:
    """The folder that is resumed, or a new one, with the command in it."""
    if arguments.resume:
        folder = Path(arguments.resume)
    else:
        folder = new_run_folder(arguments.output, "", arguments.env)
    save_command(folder, arguments)
    return folder


def _title(arguments: argparse.Namespace, env_kwargs: Mapping[str, Any]) -> str:
    parts = [arguments.env, f"{arguments.split} split"]
    parts += [f"{name}={value}" for name, value in env_kwargs.items()]
    return ", ".join(parts)


def _announcer(
    progress: Progress, entrants: Sequence["Entrant"], split: str
) -> Callable[[str, int, int], None]:
    """Shows the stages of the benchmark in words: (stage, done, total) → None."""

    def describe(stage: str) -> str:
        if stage == "search":
            return "searching a schedule on training problems"
        if stage == "choice":
            return f"choosing on validation problems among {_num_candidates(entrants)} candidates"
        if stage == split:
            return f"playing the {split} problems with {len(entrants)} policies"
        return stage

    def announce(stage: str, done: int, total: int) -> None:
        progress.update(describe(stage), done, total)

    return announce


def _num_candidates(entrants: Sequence["Entrant"]) -> int:
    """Policies that play for a choice; a search that is over has added its own."""
    contested = [entrant for entrant in entrants if entrant.mode == "tuned" or entrant.static]
    return sum(len(entrant.candidates) for entrant in contested)
