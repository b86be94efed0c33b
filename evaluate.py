"""Benchmark policies on the same unseen problems.

    python evaluate.py --env AutoLoss/QuadraticRegression-v0 --policies 'ppo:runs/ppo/*' softadapt random grid

Prints a table and writes it with the figures of every problem and a picture to <output>/<env>_<n>/.
"""

import argparse
import sys
from typing import Any

from agents import specifications
from agents.command_line import OneLineParser, check_environment, environment_arguments, key_value, main, nonnegative, positive
from agents.configuration import new_run_folder


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=f"{__doc__}\npolicies:\n{specifications.HELP}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", required=True, help="environment id, or module:id where the module registers it")
    parser.add_argument("--policies", nargs="+", required=True, metavar="POLICY", help="what to compare, see below")
    parser.add_argument("--episodes", type=positive, default=200, help="problems for each policy (default: 200)")
    parser.add_argument("--split", choices=("test", "validation", "train"), default="test", help="default: test")
    parser.add_argument("--seed", type=nonnegative, default=0, help="numbers the problems (default: 0)")
    parser.add_argument("--env-kwargs", type=key_value, nargs="+", default=[], metavar="NAME=VALUE",
                        help="arguments of the environment and its task")  # fmt: skip
    parser.add_argument("--deterministic", action="store_true", help="trained policies take their most probable action")
    parser.add_argument("-o", "--output", default="results", help="where the result folder is made (default: results)")
    parser.add_argument("--num-threads", type=positive, default=1, help="PyTorch threads (default: 1)")
    return parser.parse_args()


def progress(stage: str, done: int, total: int) -> None:
    print(f"{stage}: {done:,} of {total:,} training runs", file=sys.stderr)


def evaluate() -> None:
    arguments = parse_arguments()
    check_environment(arguments.env)
    parsed = [specifications.parse_specification(text) for text in dict.fromkeys(arguments.policies)]
    env_kwargs = environment_arguments(arguments.env_kwargs)

    import gymnasium  # noqa: PLC0415 (slow: only after the arguments are known to be good)
    import torch  # noqa: PLC0415

    from agents.benchmark import run_benchmark  # noqa: PLC0415
    from agents.catalogue import make_entrants, warnings  # noqa: PLC0415
    from agents.report import save_report, text_table  # noqa: PLC0415

    torch.set_num_threads(arguments.num_threads)

    def make_env(split: str) -> Any:
        return lambda num_envs, **more: gymnasium.make_vec(arguments.env, num_envs=num_envs, split=split, **(env_kwargs | more))

    task = make_env(arguments.split)(num_envs=1).task
    entrants = make_entrants(parsed, task, arguments.env, arguments.deterministic)
    folder = new_run_folder(arguments.output, "", arguments.env)
    benchmark = run_benchmark(entrants, make_env, arguments.split, arguments.episodes, arguments.seed, progress)
    pairs = [pair.name for pair in task.pairs]
    title = f"{arguments.env}, {arguments.split} split" + "".join(f", {n}={v}" for n, v in env_kwargs.items())
    print(title)
    print("\n".join([text_table(benchmark, pairs), *warnings(entrants, env_kwargs)]))
    for path in save_report(benchmark, pairs, title, folder, vars(arguments) | {"env_kwargs": env_kwargs}):
        print(path)


if __name__ == "__main__":
    sys.exit(main(evaluate))
