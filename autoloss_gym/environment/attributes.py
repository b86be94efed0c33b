"""Attributes and methods of each run by name, as Gymnasium's `SyncVectorEnv` has them."""

import inspect
from collections.abc import Mapping
from typing import Any

from autoloss_gym.environment.infos import of_run

# Methods of the batch that give one result a run; every other is a matter of the whole batch.
_OF_RUNS = ("diagnostics", "render", "samples", "scores")
# A single environment calls its spaces by other names.
_SPACES = {"observation_space": "single_observation_space", "action_space": "single_action_space"}


class RunAttributes:
    """What libraries ask of a vector environment beside its steps: one result for each run.

    A part of `AutoLossVectorEnv`, among whose direct bases has to be Gymnasium's `VectorEnv`: skrl
    looks there to see what it is given.
    """

    num_envs: int
    _own: Mapping[str, tuple[Any, ...]] = {}  # what `set_attr` has set

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The attribute `name` of each run, or what the method of that name returns for it.

        Args:
            name: an attribute; or "diagnostics", "render", "samples" or "scores".
            args: of the method.
            kwargs: of the method.

        Returns:
            `num_envs` results. The runs share every attribute that `set_attr` has not set.

        Raises:
            AttributeError: there is no such name.
            ValueError: the method acts on the whole batch.
        """
        if name in self._own:
            return self._own[name]
        value = getattr(self, _SPACES.get(name, name))
        if not inspect.isroutine(value):
            return (value,) * self.num_envs
        if name not in _OF_RUNS:
            raise ValueError(
                f"{name!r} is a method of the whole batch: call envs.{name}(…) itself; "
                f"methods of each run are {', '.join(_OF_RUNS)}"
            )
        return self._by_run(value(*args, **kwargs))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """The attribute `name` of each run, see `call`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Attach an attribute of your own to each run, which `get_attr` gives back.

        Args:
            name: one that the environment does not have itself.
            values: a list or tuple of one value for each run, or one value for all.

        Raises:
            ValueError: the environment was made with this attribute, or there are too many or too
                few values.
        """
        if hasattr(self, name):
            raise ValueError(
                f"{name!r} holds for all runs and was set when the environment was made: make one "
                "with other arguments"
            )
        given = tuple(values) if isinstance(values, list | tuple) else (values,) * self.num_envs
        if len(given) != self.num_envs:
            raise ValueError(
                f"{len(given)} values of {name!r}: expected one value, or a list of "
                f"num_envs={self.num_envs}"
            )
        self._own = {**self._own, name: given}

    def _by_run(self, result: Any) -> tuple[Any, ...]:
        """A result for the batch, cut into those of the runs."""
        if result is None:
            return (None,) * self.num_envs
        if isinstance(result, Mapping):
            return tuple(of_run(result, row) for row in range(self.num_envs))
        return tuple(result)
