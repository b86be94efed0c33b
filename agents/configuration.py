"""Resolved configuration of a training run; imports nothing slow."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloss_gym.registration import OLDER

# Those whose result is a policy.
WITH_POLICY = (
    "a2c",
    "ddpg",
    "dqn",
    "group",
    "meta_gradient",
    "ppo",
    "reinforce",
    "sac",
    "td3",
    "tensor_ppo",
)
# Algorithms whose policies and hyper-parameters are those of another.
VERSION_OF = {"tensor_ppo": "ppo"}
ALGORITHMS = tuple(sorted((*WITH_POLICY, "learned_optimizer")))
MOST_STEPS = 2**53  # larger numbers are not read exactly
MOST_RUNS = 2**19  # half of `SEED_SPACING`: commands with different seeds then share no problem
WITH_BASE = ("group", "meta_gradient")  # those whose trainings keep a base schedule
# Arguments of the environment that an algorithm is made for; what is given takes their place.
ENVIRONMENT_DEFAULTS: dict[str, dict[str, Any]] = {
    "group": {
        "control": "schedule",
        "features": "log",
        "add": ["sizes", "sparsity", "best", "shift"],
    },
    "meta_gradient": {
        "control": "schedule",
        "control_arguments": {"decide_at": [0.0], "draw": False},
    },
}
_FOLDER = Path(__file__).parent / "hyperparameters"


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
    from .yaml_values import read_file

    path = Path(file) if file else _FOLDER / f"{VERSION_OF.get(algo, algo)}.yml"
    if not path.is_file():
        raise ValueError(f"hyper-parameter file {str(path)!r} does not exist")
    try:
        table = read_file(path)
    except ValueError as error:
        raise ValueError(f"hyper-parameter file {str(path)!r} cannot be read: {error}") from None
    id = env.rpartition(":")[2]
    chosen = None
    if isinstance(table, dict):
        names = [id, OLDER.get(id), "default"]
        chosen = next((table[name] for name in names if name in table), None)
    if not isinstance(chosen, dict):
        raise ValueError(
            f"hyper-parameter file {str(path)!r}: expected a mapping under {id!r} or 'default'"
        )
    return dict(chosen)
