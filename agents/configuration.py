"""Resolved configuration of a training run, and the folder that keeps it; imports nothing slow."""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from autoloss_gym.tools.names import unknown

ALGORITHMS = ("a2c", "ddpg", "dqn", "ppo", "reinforce", "sac", "td3")
_HERE = Path(__file__).parent


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
    """

    algo: str
    env: str
    env_kwargs: dict[str, Any]
    num_envs: int
    n_timesteps: int
    seed: int
    hyperparameters: dict[str, Any]
    checkpoint_every: int | None = None

    @property
    def checkpoint_interval(self) -> int:
        return self.checkpoint_every or -(-self.n_timesteps // 10)


def hyperparameters(algo: str, env: str, file: str | None = None) -> dict[str, Any]:
    """What the YAML file of `algo`, or `file`, says for `env`, else for "default"."""
    path = Path(file) if file else _HERE / "hyperparameters" / f"{algo}.yml"
    if not path.is_file():
        raise ValueError(f"hyper-parameter file {str(path)!r} does not exist")
    try:
        table = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(
            f"hyper-parameter file {str(path)!r} is not YAML: {' '.join(str(error).split())}"
        ) from None
    env = env.rpartition(":")[2]
    chosen = table.get(env, table.get("default")) if isinstance(table, dict) else None
    if not isinstance(chosen, dict):
        raise ValueError(
            f"hyper-parameter file {str(path)!r}: expected a mapping under {env!r} or 'default'"
        )
    return {name: number(value) for name, value in chosen.items()}


def number(value: Any) -> Any:
    """YAML 1.1 reads 1e-3 as text; this reads it as the number that was meant, also in lists and
    mappings.
    """
    if isinstance(value, dict):
        return {name: number(each) for name, each in value.items()}
    if isinstance(value, list):
        return [number(each) for each in value]
    return (
        float(value)
        if isinstance(value, str) and re.fullmatch(r"[-+]?[\d.]+[eE][-+]?\d+", value)
        else value
    )


def checked_hyperparameters(algorithm: type, given: dict[str, Any]) -> dict[str, Any]:
    """`given`, with 1e4 as an integer where the default is one; ValueError for a name that the
    algorithm does not have.
    """
    internal = ("self", "policy", "env", "seed", "tensorboard_log", "verbose")
    known = [
        name
        for name in inspect.signature(algorithm).parameters
        if name not in internal and name[0] != "_"
    ]
    for name in given:
        if name not in known:
            raise ValueError(unknown(f"hyper-parameter of {algorithm.__name__}", name, known))
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(algorithm).parameters.items()
    }
    return {
        n: int(v) if isinstance(defaults[n], int) and isinstance(v, float) and v.is_integer() else v
        for n, v in given.items()
    }
