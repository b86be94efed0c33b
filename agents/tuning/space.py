"""What is searched: for each algorithm a table of its own hyper-parameters; imports nothing slow.

The values to begin with are always in the space, so that the first trial can be played with them.
"""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoloss_gym.tools.names import shown

from ..configuration import TrainingConfiguration

_DIGITS = 3  # of a number that is drawn


@dataclass(frozen=True)
class Range:
    """Numbers between two positive ends, drawn on a logarithmic scale."""

    low: float
    high: float


@dataclass(frozen=True)
class Choices:
    """A few values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Multiples:
    """Multiples of the value to begin with, as whole numbers of at least `least`."""

    factors: tuple[float, ...]
    least: int = 1


@dataclass(frozen=True)
class Divisors:
    """Those of a few whole numbers that divide the number of environments."""

    values: tuple[int, ...]


Row = Range | Choices | Multiples | Divisors

_FEWER_AND_MORE = Multiples((0.25, 0.5, 1, 2))
_GAMMA = Choices((0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0))
_LAMBDA = Choices((0.8, 0.9, 0.95, 0.98, 1.0))
_ENTROPY = Choices((0.0, 1e-4, 1e-3, 1e-2))
_SIZES = Choices(([32], [32, 32], [64, 64], [128, 128]))
_PPO: dict[str, Row] = {
    "learning_rate": Range(1e-5, 1e-2),
    "n_steps": _FEWER_AND_MORE,
    "batch_size": Multiples((0.25, 0.5, 1, 2), least=2),  # one advantage has no deviation
    "n_epochs": Choices((3, 5, 10, 20)),
    "gamma": _GAMMA,
    "gae_lambda": _LAMBDA,
    "ent_coef": _ENTROPY,
    "clip_range": Choices((0.1, 0.2, 0.3, 0.4)),
    "policy_kwargs.net_arch": _SIZES,
}
_OFF_POLICY: dict[str, Row] = {
    "learning_rate": Range(1e-5, 1e-2),
    "batch_size": _FEWER_AND_MORE,
    "learning_starts": _FEWER_AND_MORE,
    "gradient_steps": Choices((1, 2, 4, 8)),
    "gamma": _GAMMA,
    "policy_kwargs.net_arch": _SIZES,
}
_SOFT_TARGET: dict[str, Row] = {"tau": Choices((0.001, 0.005, 0.01, 0.02, 0.05))}
# One row a hyper-parameter; a dot names what is in a mapping.
SPACES: dict[str, dict[str, Row]] = {
    "a2c": {
        "learning_rate": Range(1e-5, 1e-2),
        "n_steps": _FEWER_AND_MORE,
        "gamma": _GAMMA,
        "gae_lambda": _LAMBDA,
        "ent_coef": _ENTROPY,
        "normalize_advantage": Choices((False, True)),
        "policy_kwargs.net_arch": _SIZES,
    },
    "ddpg": _OFF_POLICY | _SOFT_TARGET,
    "dqn": {
        **_OFF_POLICY,
        "target_update_interval": Multiples((0.25, 0.5, 1, 2, 4)),
        "exploration_fraction": Choices((0.1, 0.2, 0.3, 0.5)),
        "exploration_final_eps": Choices((0.01, 0.05, 0.1)),
    },
    "group": {
        "learning_rate": Range(1e-3, 5e-2),
        "copies": Divisors((4, 8, 16)),
        "n_epochs": Choices((2, 4, 8)),
        "clip_range": Choices((0.1, 0.2, 0.3)),
        "weight_deviation": Range(0.25, 2.0),
        "step_deviation": Range(0.1, 1.0),
        "hidden_size": Choices((16, 32, 64)),
        "search_knots": Choices((2, 4, 6)),
    },
    "meta_gradient": {
        "meta_learning_rate": Range(5e-3, 0.5),
        "start": Range(0.1, 10.0),
        "knots": Choices((1, 2, 4, 8)),
        "clip": Choices((None, 0.1, 1.0, 10.0)),
        "objective": Choices(("final", "log")),
    },
    "ppo": _PPO,
    "reinforce": {
        "learning_rate": Range(1e-4, 1e-1),
        "hidden_sizes": Choices(([], [16], [32], [32, 32])),
        "temperature": Choices((0.5, 1.0, 2.0, 5.0)),
        "baseline_decay": Choices((0.5, 0.8, 0.9, 0.95)),
        "advantage_clip": Choices((1.0, 5.0, 20.0)),
        "mean_over_steps": Choices((False, True)),
        "update_baseline_first": Choices((False, True)),
        "step_reward": Choices((False, True)),
    },
    "sac": _OFF_POLICY | _SOFT_TARGET,
    "td3": {
        **_OFF_POLICY,
        **_SOFT_TARGET,
        "policy_delay": Choices((1, 2, 3)),
        "target_policy_noise": Choices((0.1, 0.2, 0.3)),
    },
    "tensor_ppo": _PPO,
}


class Space:
    """The space of a configuration's algorithm, around its hyper-parameters.

    Args:
        configuration: the values to begin with; what it does not give has the algorithm's own.
    """

    def __init__(self, configuration: TrainingConfiguration) -> None:
        self._configuration = configuration
        rows = SPACES[configuration.algo]
        defaults = _defaults(configuration.algo)
        self._starts = {name: self._start(name, defaults) for name in rows}
        self._options = {name: self._around(row, self._starts[name]) for name, row in rows.items()}

    @property
    def start(self) -> dict[str, Any]:
        """The parameters of the values to begin with."""
        return {name: self._parameter(name, value) for name, value in self._starts.items()}

    def distributions(self) -> dict[str, Any]:
        """The space as Optuna has it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        found: dict[str, Any] = {}
        for name, options in self._options.items():
            if isinstance(options, Range):
                found[name] = FloatDistribution(options.low, options.high, log=True)
            else:
                found[name] = CategoricalDistribution(list(options))
        return found

    def changes(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What the parameters of a trial change, by name.

        Raises:
            ValueError: there are no such parameters.
        """
        found = {}
        for name, parameter in parameters.items():
            options = self._options.get(name, {})
            if name in self._starts and parameter == self._parameter(name, self._starts[name]):
                continue
            if isinstance(options, Range):
                found[name] = float(f"{parameter:.{_DIGITS}g}")
            elif parameter not in options:
                raise ValueError(
                    f"a trial has {name}={shown(parameter)}, which is not in the space of "
                    f"{self._configuration.algo}: its record is damaged"
                )
            else:
                found[name] = options[parameter]
        return found

    def hyperparameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The hyper-parameters of a trial: those to begin with where it changes nothing."""
        chosen = dict(self._configuration.hyperparameters)
        changes = self.changes(parameters)
        for name, value in changes.items():
            outer, dot, inner = name.partition(".")
            chosen[outer] = {**(chosen.get(outer) or {}), inner: value} if dot else value
        if changes and {"n_steps", "batch_size"} <= parameters.keys():
            steps = chosen.get("n_steps", self._starts["n_steps"]) * self._configuration.num_envs
            batch = chosen.get("batch_size", self._starts["batch_size"])
            chosen["batch_size"] = min(batch, steps)  # a minibatch is part of a rollout
        return chosen

    def _start(self, name: str, defaults: Mapping[str, Any]) -> Any:
        outer, dot, inner = name.partition(".")
        value = self._configuration.hyperparameters.get(outer, defaults.get(outer))
        return (value or {}).get(inner) if dot else value

    def _around(self, row: Row, start: Any) -> Range | dict[Any, Any]:
        """What may be chosen, the start with it: a range, or values by their parameters."""
        if isinstance(row, Range):
            return Range(min(row.low, start), max(row.high, start))
        if isinstance(row, Multiples):
            values = [max(row.least, int(factor * start)) for factor in row.factors]
        elif isinstance(row, Divisors):
            values = [each for each in row.values if self._configuration.num_envs % each == 0]
        else:
            values = list(row.values)
        return {_encoded(value): value for value in [*values, start]}

    def _parameter(self, name: str, value: Any) -> Any:
        return value if isinstance(self._options[name], Range) else _encoded(value)


def _encoded(value: Any) -> Any:
    """A choice as Optuna stores it: lists and mappings as text."""
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value


def _defaults(algo: str) -> dict[str, Any]:
    """The algorithm's own values of its hyper-parameters."""
    parameters = inspect.signature(options_of(algo)).parameters.values()
    return {each.name: each.default for each in parameters}


def options_of(algo: str) -> type:
    """The class whose arguments are the algorithm's hyper-parameters."""
    from ..learners.groups.options import GroupOptions
    from ..learners.meta_gradients.options import MetaGradientOptions
    from ..learners.policy_gradient import ReinforceOptions
    from ..learners.proximal.options import TensorPPOOptions
    from ..learners.stable_baselines3 import algorithm_class

    own: dict[str, type] = {
        "group": GroupOptions,
        "meta_gradient": MetaGradientOptions,
        "reinforce": ReinforceOptions,
        "tensor_ppo": TensorPPOOptions,
    }
    return own.get(algo) or algorithm_class(algo)
