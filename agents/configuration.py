"""Resolved configuration of a training run; imports nothing slow."""

import inspect
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloss_gym.registration import OLDER
from autoloss_gym.tools.names import unknown

ALGORITHMS = ("a2c", "ddpg", "dqn", "ppo", "reinforce", "sac", "td3")
MOST_STEPS = 2**53  # larger numbers are not read exactly
_FOLDER = Path(__file__).parent / "hyperparameters"
_NUMBER = re.compile(r"[-+]?[\d.]+[eE][-+]?\d+")
# Parameters of algorithms that the configuration sets in other ways.
_INTERNAL = ("self", "policy", "env", "seed", "tensorboard_log", "verbose")


@dataclass(frozen=True, kw_only=True)
class TrainingConfiguration:
    """Everything that determines a training run.

    Args:
        algo: name of the algorithm.
        env: environment id, possibly "module:id".
        env_kwargs: arguments of the environment.
        num_envs: runs in the batch.
        n_timesteps: environment steps in all.
        seed: of the learner and of the problems.
        hyperparameters: arguments of the algorithm.
        checkpoint_every: environment steps between two checkpoints; None for a tenth of the
            training. It changes no result.
        data: digest of the task's data set; "" where the task makes its data.
    """

    algo: str
    env: str
    env_kwargs: dict[str, Any]
    num_envs: int
    n_timesteps: int
    seed: int
    hyperparameters: dict[str, Any]
    checkpoint_every: int | None = None
    data: str = ""

    @property
    def checkpoint_interval(self) -> int:
        """Environment steps between two checkpoints."""
        return self.checkpoint_every or math.ceil(self.n_timesteps / 10)


def hyperparameters(algo: str, env: str, file: str | None = None) -> dict[str, Any]:
    """Hyper-parameters of `algo` for `env`, or where the file has none, its "default".

    Args:
        algo: name of the algorithm.
        env: environment id, possibly "module:id".
        file: a YAML file to read instead of the algorithm's own.

    Raises:
        ValueError: there is no such file, or it is not a table of environments.
    """
    import yaml

    path = Path(file) if file else _FOLDER / f"{algo}.yml"
    if not path.is_file():
        raise ValueError(f"hyper-parameter file {str(path)!r} does not exist")
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"hyper-parameter file {str(path)!r} is not YAML: {reason}") from None
    id = env.rpartition(":")[2]
    chosen = None
    if isinstance(table, dict):
        names = [id, OLDER.get(id), "default"]
        chosen = next((table[name] for name in names if name in table), None)
    if not isinstance(chosen, dict):
        raise ValueError(
            f"hyper-parameter file {str(path)!r}: expected a mapping under {id!r} or 'default'"
        )
    return {name: number(value) for name, value in chosen.items()}


def number(value: Any) -> Any:
    """`value` with the numbers that YAML 1.1 takes for text, such as 1e-3; also in lists and
    mappings.
    """
    if isinstance(value, dict):
        return {name: number(each) for name, each in value.items()}
    if isinstance(value, list):
        return [number(each) for each in value]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return value


def checked_hyperparameters(algorithm: type, given: dict[str, Any]) -> dict[str, Any]:
    """`given`, with 1e4 as an integer where the algorithm's default is one.

    Raises:
        ValueError: the algorithm has no such hyper-parameter.
    """
    parameters = inspect.signature(algorithm).parameters
    known = [name for name in parameters if name not in _INTERNAL and not name.startswith("_")]
    checked = {}
    for name, value in given.items():
        if name not in known:
            raise ValueError(unknown(f"hyper-parameter of {algorithm.__name__}", name, known))
        is_whole = isinstance(value, float) and value.is_integer()
        expects_integer = isinstance(parameters[name].default, int)
        checked[name] = int(value) if is_whole and expects_integer else value
    return checked
