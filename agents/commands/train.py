"""The command that trains an agent."""

import argparse
import contextlib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from autoloss_gym.tools.bounds import Bounds
from autoloss_gym.tools.fields import converted
from autoloss_gym.tools.files import locked

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
from ..configuration import (
    ALGORITHMS,
    ENVIRONMENT_DEFAULTS,
    MOST_RUNS,
    MOST_STEPS,
    WITH_POLICY,
    TrainingConfiguration,
    hyperparameters,
)
from ..interruption import ending_at_once, goes_on, resume_command
from ..options import algorithm, key_value, nonnegative, positive, runs
from ..run_folders import (
    load_configuration,
    new_run_folder,
    removed_if_nothing_is_kept,
    save_configuration,
)

DESCRIPTION = """\
Train an agent to steer training: a controller of few decisions, any agent of Stable-Baselines3,
its PPO on the device, or REINFORCE as in the AutoLoss paper; or learn the optimizer itself.

    {command} --env AutoLoss/QuadraticRegression-v1 --algo group --seed 0

The run is kept in a folder <log-folder>/<algo>/<env>_<n>/: config.json, policy.safetensors (of
a learned optimizer optimizer.safetensors) and checkpoint.safetensors (saved ten times in a
training, or every so many steps), TensorBoard events, progress.csv, and samples.gif where the task
makes images. After a kill,
`{command} --resume <folder>` goes on from the last checkpoint, to the weights that an uninterrupted
training ends with."""

_DEFAULT_NUM_ENVS = 64  # where neither the flags nor the YAML file say it
_DEFAULT_TIMESTEPS = 100_000
_OF_COMMAND = ("num_envs", "n_timesteps")  # among the hyper-parameters of a file or of -P
_RUNS = Bounds(f"an integer from 1 to {MOST_RUNS}", least=1, most=MOST_RUNS)
_STEPS = Bounds(f"an integer from 1 to {MOST_STEPS}", least=1, most=MOST_STEPS)


def train(given: Sequence[str] | None = None, program: str | None = None) -> None:
    """Train an agent as the arguments say, and print its run folder.

    Args:
        given: the arguments, by default those of the process.
        program: its name in help and errors, by default that of the script.
    """
    arguments = parse_arguments(given, program)
    folder = Path(arguments.resume) if arguments.resume else None
    if folder:
        configuration = load_configuration(folder)
        check_resumed_environment(configuration.env, arguments.env)
        environment_arguments(list(configuration.env_kwargs.items()))
    else:
        configuration = resolve(arguments)
    spec = check_environment(configuration.env)
    check_arguments(spec, configuration.env_kwargs)

    with ending_at_once():
        import torch

        from ..environments import check_data
        from ..learners.learner import make_learner

    torch.set_num_threads(arguments.num_threads)
    learner = make_learner(configuration)
    if folder is None:
        folder = new_run_folder(arguments.log_folder, configuration.algo, configuration.env)
    threads = arguments.num_threads
    options = [f"--num-threads {threads}"] if threads > 1 else []
    resumption = resume_command(program, configuration.env, options)
    with locked(folder), contextlib.ExitStack() as stack:
        if arguments.resume:
            check_data(folder, configuration.data, learner.task)
        else:
            save_configuration(folder, replace(configuration, data=learner.task.data_digest))
            stack.enter_context(removed_if_nothing_is_kept(folder, "checkpoint.*"))
        goes_on(lambda: f"{_kept(folder)}: go on with {resumption} {shlex.quote(str(folder))}")
        print(f"training {configuration.algo} on {configuration.env} in {folder}", file=sys.stderr)
        learner.train(folder)
        if configuration.algo in WITH_POLICY:
            _export(folder)
    print(folder)


def _export(folder: Path) -> None:
    """Keep the controller beside the checkpoint, free of its environment."""
    from autoloss_gym.controllers.controller import FILE

    from ..learners.export import export

    try:
        export(folder).save(folder / FILE)
    except ValueError as error:  # the policy is none that a file can hold
        print(f"{folder / FILE} was not written: {error}", file=sys.stderr)


def _kept(folder: Path) -> str:
    if any(folder.glob("checkpoint.*")):
        return f"{folder} holds a checkpoint"
    return f"{folder} holds no checkpoint yet, only its arguments"


def parse_arguments(given: Sequence[str] | None, program: str | None) -> argparse.Namespace:
    """The arguments, checked as far as they can be without the environment."""
    parser = command_parser(program, DESCRIPTION)
    _add_problem_arguments(parser)
    _add_training_arguments(parser)
    arguments = parser.parse_args(given)
    if arguments.resume:
        refuse_beside_resume(parser, arguments, allowed=("num_threads", "env"))
    elif not arguments.env:
        parser.error("expected --env, or --resume RUN")
    return arguments


def _add_problem_arguments(parser: argparse.ArgumentParser) -> None:
    add_environment(parser)
    parser.add_argument(
        "--algo",
        type=algorithm,
        default="group",
        help=f"{', '.join(ALGORITHMS)} (default: group)",
    )
    parser.add_argument(
        "-P",
        "--hyperparams",
        type=key_value,
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="arguments of the algorithm",
    )
    parser.add_argument(
        "--conf-file",
        help="YAML file of hyper-parameters (default: the algorithm's own)",
    )
    parser.add_argument(
        "--seed",
        type=nonnegative,
        default=0,
        help="seed of learner and problems (default: 0)",
    )


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--num-envs",
        type=runs,
        help="training runs in the batch",
    )
    parser.add_argument(
        "--n-timesteps",
        type=positive,
        help="environment steps in all",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=positive,
        metavar="STEPS",
        help="environment steps between two checkpoints (default: a tenth of the training)",
    )
    add_num_threads(parser)
    parser.add_argument(
        "-f",
        "--log-folder",
        default="runs",
        help="where the run folder is made (default: runs)",
    )
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with the training of that run folder, with its arguments",
    )


def resolve(arguments: argparse.Namespace) -> TrainingConfiguration:
    """The configuration: the YAML file's values, overridden by the flags."""
    chosen = hyperparameters(arguments.algo, arguments.env, arguments.conf_file)
    chosen |= dict(arguments.hyperparams)
    num_envs = arguments.num_envs or chosen.get("num_envs", _DEFAULT_NUM_ENVS)
    n_timesteps = arguments.n_timesteps or chosen.get("n_timesteps", _DEFAULT_TIMESTEPS)
    suited = ENVIRONMENT_DEFAULTS.get(arguments.algo, {})
    of_algorithm = {name: value for name, value in chosen.items() if name not in _OF_COMMAND}
    return TrainingConfiguration(
        algo=arguments.algo,
        env=arguments.env,
        env_kwargs=suited | environment_arguments(arguments.env_kwargs),
        num_envs=converted("num_envs", num_envs, Annotated[int, _RUNS]),
        n_timesteps=converted("n_timesteps", n_timesteps, Annotated[int, _STEPS]),
        seed=arguments.seed,
        hyperparameters=of_algorithm,
        checkpoint_every=arguments.checkpoint_every,
    )
