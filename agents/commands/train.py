"""Train an agent to steer training: any of Stable-Baselines3, or REINFORCE as in the AutoLoss
paper.

    python train_agent.py --env AutoLoss/QuadraticRegression-v0 --algo ppo --seed 0

The run is kept in a folder <log-folder>/<algo>/<env>_<n>/: config.json, policy.safetensors and
checkpoint.pt (saved ten times in a training, or every so many steps), TensorBoard events and
progress.csv. After a kill, `train_agent.py --resume <folder>` goes on from the last checkpoint, to
the weights that an uninterrupted training ends with.
"""

import argparse
import sys
from pathlib import Path

from ..command_line import (
    OneLineParser,
    algorithm,
    check_environment,
    environment_arguments,
    key_value,
    nonnegative,
    positive,
    refuse_beside_resume,
)
from ..configuration import ALGORITHMS, TrainingConfiguration, hyperparameters
from ..run_folders import load_configuration, new_run_folder, save_configuration


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", help="environment id, or module:id where the module registers it")
    parser.add_argument(
        "--algo", type=algorithm, default="ppo", help=f"{', '.join(ALGORITHMS)} (default: ppo)"
    )
    parser.add_argument("--num-envs", type=positive, help="training runs in the batch")
    parser.add_argument("--n-timesteps", type=positive, help="environment steps in all")
    parser.add_argument(
        "--seed", type=nonnegative, default=0, help="seed of learner and problems (default: 0)"
    )
    parser.add_argument("--env-kwargs", type=key_value, nargs="+", default=[], metavar="NAME=VALUE",
                        help="arguments of the environment and its task")  # fmt: skip
    parser.add_argument("-P", "--hyperparams", type=key_value, nargs="+", default=[], metavar="NAME=VALUE",
                        help="arguments of the algorithm")  # fmt: skip
    parser.add_argument(
        "--conf-file",
        help="YAML file of hyper-parameters (default: agents/hyperparameters/ALGO.yml)",
    )
    parser.add_argument(
        "-f", "--log-folder", default="runs", help="where the run folder is made (default: runs)"
    )
    parser.add_argument(
        "--num-threads", type=positive, default=1, help="PyTorch threads (default: 1)"
    )
    parser.add_argument("--checkpoint-every", type=positive, metavar="STEPS",
                        help="environment steps between two checkpoints (default: a tenth of the training)")  # fmt: skip
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with the training of that run folder, with its arguments",
    )
    arguments = parser.parse_args()
    if arguments.resume:
        refuse_beside_resume(parser, arguments, allowed=("num_threads",))
    elif not arguments.env:
        parser.error("expected --env, or --resume RUN")
    return arguments


def resolve(arguments: argparse.Namespace) -> TrainingConfiguration:
    """The configuration: the YAML file's values, overridden by the flags."""
    chosen = hyperparameters(arguments.algo, arguments.env, arguments.conf_file) | dict(
        arguments.hyperparams
    )
    num_envs, n_timesteps = chosen.pop("num_envs", 64), chosen.pop("n_timesteps", 100_000)
    return TrainingConfiguration(
        algo=arguments.algo,
        env=arguments.env,
        env_kwargs=environment_arguments(arguments.env_kwargs),
        num_envs=int(arguments.num_envs or num_envs),
        n_timesteps=int(arguments.n_timesteps or n_timesteps),
        seed=arguments.seed,
        hyperparameters=chosen,
        checkpoint_every=arguments.checkpoint_every,
    )


def train() -> None:
    arguments = parse_arguments()
    folder = Path(arguments.resume) if arguments.resume else None
    configuration = load_configuration(folder) if folder else resolve(arguments)
    check_environment(configuration.env)

    import torch  # noqa: PLC0415 (slow: only after the arguments are known to be good)

    from ..learners.learner import make_learner  # noqa: PLC0415

    torch.set_num_threads(arguments.num_threads)
    learner = make_learner(configuration)
    if folder is None:
        folder = new_run_folder(arguments.log_folder, configuration.algo, configuration.env)
        save_configuration(folder, configuration)
    print(f"training {configuration.algo} on {configuration.env} in {folder}", file=sys.stderr)
    learner.train(folder)
    print(folder)
