"""Values of the hyper-parameters of Stable-Baselines3, checked before a training begins.

Its constructors take nearly everything; what is wrong shows, if at all, in the midst of a training.
"""

import inspect
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from autoloss_gym.environment.building import available_device
from autoloss_gym.tools.bounds import (
    Bounds,
    FiniteFloat,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Share,
    Units,
)
from autoloss_gym.tools.fields import converted
from autoloss_gym.tools.names import shown, unknown

# Parameters that the configuration sets in other ways.
_INTERNAL = ("self", "policy", "env", "seed", "tensorboard_log", "verbose")
_Rate = Annotated[float, Bounds("a number above 0 and at most 1", above=0, most=1)]
_TYPES: dict[str, Any] = {
    # All algorithms.
    "learning_rate": _Rate,
    "gamma": Share,
    "n_steps": PositiveInt,
    "device": str,
    "stats_window_size": PositiveInt,
    "policy_kwargs": Mapping | None,
    "use_sde": bool,
    "sde_sample_freq": Literal[-1] | PositiveInt,
    # A2C and PPO.
    "batch_size": PositiveInt,
    "n_epochs": PositiveInt,
    "gae_lambda": Share,
    "clip_range": PositiveFloat,
    "clip_range_vf": PositiveFloat | None,
    "ent_coef": NonNegativeFloat,
    "vf_coef": NonNegativeFloat,
    "max_grad_norm": PositiveFloat,
    "normalize_advantage": bool,
    "target_kl": PositiveFloat | None,
    "rms_prop_eps": PositiveFloat,
    "use_rms_prop": bool,
    "rollout_buffer_class": types.NoneType,
    "rollout_buffer_kwargs": Mapping | None,
    # DQN, DDPG, SAC and TD3.
    "buffer_size": PositiveInt,
    "learning_starts": NonNegativeInt,
    "tau": _Rate,
    "train_freq": PositiveInt | tuple[PositiveInt, Literal["step"]],
    "gradient_steps": Literal[-1] | PositiveInt,
    "optimize_memory_usage": bool,
    "action_noise": types.NoneType,
    "replay_buffer_class": types.NoneType,
    "replay_buffer_kwargs": Mapping | None,
    "target_update_interval": PositiveInt,
    "exploration_fraction": _Rate,
    "exploration_initial_eps": Share,
    "exploration_final_eps": Share,
    "target_entropy": FiniteFloat | Literal["auto"],
    "use_sde_at_warmup": bool,
    "policy_delay": PositiveInt,
    "target_policy_noise": NonNegativeFloat,
    "target_noise_clip": NonNegativeFloat,
}
_PLAYERS = ("pi", "vf", "qf")  # whose networks may differ


def checked_hyperparameters(algorithm: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, each value of the type that the algorithm's parameter needs.

    Raises:
        ValueError: the algorithm has no such hyper-parameter, or none of such a value.
    """
    parameters = inspect.signature(algorithm).parameters
    known = [name for name in parameters if name not in _INTERNAL and not name.startswith("_")]
    checked = {}
    for name, value in given.items():
        if name not in known:
            owner = algorithm.__name__.removesuffix("Options")
            raise ValueError(unknown(f"hyper-parameter of {owner}", name, known))
        checked[name] = _checked(name, value, has_words=isinstance(parameters[name].default, str))
    return checked


def _checked(name: str, value: Any, has_words: bool) -> Any:
    """The value; some parameters of SAC take words such as "auto_0.1" too, which it checks."""
    if has_words and name == "ent_coef" and isinstance(value, str):
        return value
    fitting = converted(name, value, _TYPES.get(name, Any))
    if name == "device":
        return available_device(fitting)
    if name == "policy_kwargs" and fitting is not None and "net_arch" in fitting:
        _check_sizes(fitting["net_arch"])
    return fitting


def _check_sizes(net_arch: Any) -> None:
    """ValueError unless it is a list of layer sizes, or one for each of several networks."""
    if net_arch is None:
        return
    parts = net_arch if isinstance(net_arch, Mapping) else {"net_arch": net_arch}
    if isinstance(net_arch, Mapping) and not set(net_arch) <= set(_PLAYERS):
        raise ValueError(
            f"net_arch={shown(net_arch)}: expected a list of sizes, or one for each of pi and vf, "
            "or pi and qf"
        )
    for name, sizes in parts.items():
        converted(name, sizes, tuple[Units, ...])
