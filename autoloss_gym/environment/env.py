"""The single environment: a batch of one with NumPy outside."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from torch import Tensor

from autoloss_gym.core.task import Control, Task
from autoloss_gym.environment.infos import of_run
from autoloss_gym.environment.instances import single_seed
from autoloss_gym.environment.rendering import SAMPLES
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.arrays import on_host


class AutoLossEnv(gymnasium.Env[np.ndarray, Any]):
    """One training run of a task as a Gymnasium environment.

    Args:
        task: a task, or "module:Class".
        arguments: those of `AutoLossVectorEnv`, but for `num_envs`, `array` and `autoreset_mode`.
    """

    metadata: dict[str, Any] = dict(AutoLossVectorEnv.metadata)

    def __init__(
        self, task: Task | str, *, render_mode: str | None = None, **arguments: Any
    ) -> None:
        for name in ("num_envs", "array", "autoreset_mode"):
            if name in arguments:
                raise ValueError(
                    f"{name}={arguments[name]!r} is for many runs at once: use gymnasium.make_vec, "
                    "not gymnasium.make"
                )
        self.batch = AutoLossVectorEnv(
            task,
            1,
            autoreset_mode=AutoresetMode.DISABLED,
            array="numpy",
            render_mode=render_mode,
            **arguments,
        )
        self.task = self.batch.task
        self.render_mode = render_mode
        self.observation_space = self.batch.single_observation_space
        self.action_space = self.batch.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict]:
        """Start the next problem, or the first one of `seed`."""
        seed = single_seed(seed)
        super().reset(seed=seed)
        if seed is None and not self.batch.is_reset:
            seed = int(self.np_random.integers(2**31))
        observations, infos = self.batch.reset(seed=seed, options=options)
        return observations[0], of_run(infos, 0)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Make the update that the action asks for.

        Raises:
            gymnasium.error.ResetNeeded: the episode has ended.
        """
        return self._single(self.batch.step(_batch_of_one(action)))

    def step_control(
        self, control: Control
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """The layer under `step`: a `Control` of batch size one."""
        return self._single(self.batch.step_control(control))

    def diagnostics(self) -> dict[str, Any]:
        """Figures measured anew, see `AutoLossVectorEnv.diagnostics`."""
        return of_run(self.batch.diagnostics(), 0)

    def samples(self, count: int = SAMPLES) -> Any:
        """Images that the model makes, (count, height, width, channels), in [0, 1]; or a list of
        translations. See `AutoLossVectorEnv.samples`.
        """
        return self.batch.samples(count)[0]

    def render(self) -> np.ndarray | None:
        """Picture of the run so far (height, width, 3), uint8."""
        pictures = self.batch.render()
        return pictures[0] if pictures else None

    def _single(
        self, batch: tuple[Any, ...]
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        observations, rewards, terminations, truncations, infos = batch
        return (
            observations[0],
            float(rewards[0]),
            bool(terminations[0]),
            bool(truncations[0]),
            of_run(infos, 0),
        )


def _batch_of_one(action: Any) -> Any:
    """The action with a leading dimension, or as it is where it is no array."""
    if isinstance(action, Tensor):
        return action[None]
    array = on_host(action)
    return [action] if array is None else array[None]
