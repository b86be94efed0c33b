"""Benchmark policies on the same unseen problems.

    python evaluate.py --env AutoLoss/QuadraticRegression-v0 --policies 'ppo:runs/ppo/*' softadapt random grid

Prints a table and writes it with the figures of every problem and a picture to <output>/<env>_<n>/.
Finished batches are kept there too: after a kill, `evaluate.py --resume <output>/<env>_<n>` goes on
where it was, to the same table.
"""

import argparse
import sys
from pathlib import Path

from ..command_line import (
    OneLineParser,
    check_environment,
    environment_arguments,
    key_value,
    nonnegative,
    positive,
    refuse_beside_resume,
)
from ..policies import grammar as specifications
from ..run_folders import load_command, new_run_folder, save_command


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=f"{__doc__}\npolicies:\n{specifications.HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--env", help="environment id, or module:id where the module registers it")
    parser.add_argument(
        "--policies", nargs="+", metavar="POLICY", help="what to compare, see below"
    )
    parser.add_argument(
        "--episodes", type=positive, default=200, help="problems for each policy (default: 200)"
    )
    parser.add_argument(
        "--split", choices=("test", "validation", "train"), default="test", help="default: test"
    )
    parser.add_argument(
        "--seed", type=nonnegative, default=0, help="numbers the problems (default: 0)"
    )
    parser.add_argument("--env-kwargs", type=key_value, nargs="+", default=[], metavar="NAME=VALUE",
                        help="arguments of the environment and its task")  # fmt: skip
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="trained policies take their mode instead of drawing",
    )
    parser.add_argument("--trust-checkpoint", action="store_true",
                        help="read .zip files of Stable-Baselines3, which can run code")  # fmt: skip
    parser.add_argument(
        "--resume",
        metavar="FOLDER",
        help="go on with the evaluation of that folder, with its arguments",
    )
    parser.add_argument(
        "-o",
        "--output",
        default="results",
        help="where the result folder is made (default: results)",
    )
    parser.add_argument(
        "--num-workers",
        type=positive,
        default=1,
        help="processes that play, best one a core (default: 1)",
    )
    parser.add_argument(
        "--num-threads", type=positive, default=1, help="PyTorch threads (default: 1)"
    )
    arguments = parser.parse_args()
    if arguments.resume:
        refuse_beside_resume(parser, arguments, allowed=("trust_checkpoint",))
        stored = [name for name in vars(arguments) if name not in ("resume", "trust_checkpoint")]
        resumed = load_command(Path(arguments.resume), stored)
        resumed.trust_checkpoint = arguments.trust_checkpoint
        return resumed
    if not (arguments.env and arguments.policies):
        parser.error("expected --env and --policies, or --resume FOLDER alone")
    return arguments


def progress(stage: str, done: int, total: int) -> None:
    print(f"{stage}: {done:,} of {total:,} training runs", file=sys.stderr)


def evaluate() -> None:
    arguments = parse_arguments()
    check_environment(arguments.env)
    parsed = [
        specifications.parse_specification(text) for text in dict.fromkeys(arguments.policies)
    ]
    for each in parsed:
        if each.zip_file and not arguments.trust_checkpoint:
            raise ValueError(
                f"policy {each.text!r}: a .zip file of Stable-Baselines3 can run code when it is read; "
                "add --trust-checkpoint if you trust where it comes from"
            )
    env_kwargs = environment_arguments(arguments.env_kwargs)

    import torch  # noqa: PLC0415 (slow: only after the arguments are known to be good)

    from ..evaluation.comparison import run_benchmark  # noqa: PLC0415
    from ..evaluation.report import save_report, text_table  # noqa: PLC0415
    from ..environments import EnvironmentMaker  # noqa: PLC0415
    from ..policies.catalogue import make_entrants, warnings  # noqa: PLC0415

    torch.set_num_threads(arguments.num_threads)

    def make_env(split: str) -> EnvironmentMaker:
        return EnvironmentMaker(arguments.env, {**env_kwargs, "split": split})

    task = make_env(arguments.split)(num_envs=1).task
    entrants = make_entrants(parsed, task, arguments.env, arguments.deterministic)
    folder = (
        Path(arguments.resume)
        if arguments.resume
        else new_run_folder(arguments.output, "", arguments.env)
    )
    save_command(folder, arguments)
    benchmark = run_benchmark(
        entrants,
        make_env,
        arguments.split,
        arguments.episodes,
        arguments.seed,
        progress,
        folder / "episodes",
        arguments.num_workers,
    )
    title = f"{arguments.env}, {arguments.split} split" + "".join(
        f", {n}={v}" for n, v in env_kwargs.items()
    )
    lines = [*task.remarks(arguments.split), *warnings(entrants, env_kwargs)]
    print(f"{title}\n{text_table(benchmark, lines)}")
    for path in save_report(benchmark, lines, title, folder, vars(arguments)):
        print(path)
