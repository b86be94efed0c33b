"""The vector environment as a Stable-Baselines3 `VecEnv`."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor


class StableBaselines3VecEnv(VecEnv):
    """Runs an `AutoLossVectorEnv` under Stable-Baselines3, with one device-to-host copy a step.

    Episode returns and lengths are reported as by `Monitor`. The info of a run is empty but at its
    end, when it holds `terminal_observation`, `episode` and the environment's final figures
    (`score`, `best_score`, `diverged`, …).

    Args:
        envs: an `AutoLossVectorEnv` with `autoreset_mode="SameStep"`, bare or in wrappers.

    Raises:
        ValueError: the environment resets in another way; SB3 would learn from false transitions.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        if not isinstance(envs, VectorEnv):
            raise ValueError(
                f"got {type(envs).__name__}: expected a vector environment, "
                "gymnasium.make_vec(id, num_envs=…)"
            )
        mode = envs.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(
                f"autoreset_mode={getattr(mode, 'value', mode)!r}: Stable-Baselines3 needs an "
                "environment made with autoreset_mode='SameStep'"
            )
        self.envs: Any = envs  # of any wrapper, which types its methods in its own way
        self._returns = np.zeros(envs.num_envs)
        self._lengths = np.zeros(envs.num_envs, dtype=np.int64)
        self._actions: np.ndarray | None = None
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> np.ndarray:
        seeds = None if all(seed is None for seed in self._seeds) else list(self._seeds)
        observations, infos = self.envs.reset(seed=seeds, options=self._shared_options())
        self._reset_seeds()
        self._reset_options()
        begun = _to_numpy(infos["steps"]) == 0  # a `reset_mask` among the options spares the others
        self._returns[begun], self._lengths[begun] = 0, 0
        self.reset_infos = [{} for _ in range(self.num_envs)]
        return _to_numpy(observations)

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        outputs = self.envs.step(self._actions)
        observations, rewards, dones = _pack_to_host(*outputs[:3])
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if dones.any():
            self._report_episodes(np.flatnonzero(dones), outputs[4], infos)
        return observations, rewards, dones, infos

    def _report_episodes(
        self, rows: np.ndarray, batched: dict[str, Any], infos: list[dict[str, Any]]
    ) -> None:
        observations = _to_numpy(batched["final_obs"])
        final = {
            name: _to_numpy(v)
            for name, v in batched["final_info"].items()
            if not name.startswith("_")
        }
        for row in rows:
            infos[row] = {name: values[row] for name, values in final.items()}
            infos[row]["terminal_observation"] = observations[row]
            infos[row]["TimeLimit.truncated"] = False
            infos[row]["episode"] = {
                "r": float(self._returns[row]),
                "l": int(self._lengths[row]),
                "t": 0.0,
            }
        self._returns[rows], self._lengths[rows] = 0, 0

    def state_dict(self) -> dict[str, Any]:
        """The runs and the episodes' returns and lengths so far, see
        `AutoLossVectorEnv.state_dict`.

        Numbers that a wrapper between them keeps, such as running means, are not part of it.
        """
        sums = {
            "returns": torch.from_numpy(self._returns.copy()),
            "lengths": torch.from_numpy(self._lengths.copy()),
        }
        return {"envs": self._batch.state_dict(), **sums}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._batch.load_state_dict(state["envs"])
        self._returns, self._lengths = (
            state["returns"].numpy().copy(),
            state["lengths"].numpy().copy(),
        )

    def close(self) -> None:
        self.envs.close()

    def get_attr(self, attr_name: str, indices: None | int | Iterable[int] = None) -> list[Any]:
        value = getattr(self._batch, attr_name, None)
        shared = inspect.isroutine(value)  # `call` would call it
        values = (value,) * self.num_envs if shared else self._batch.get_attr(attr_name)
        return [values[row] for row in self._get_indices(indices)]

    def set_attr(
        self, attr_name: str, value: Any, indices: None | int | Iterable[int] = None
    ) -> None:
        """Attach an attribute of your own, see `AutoLossVectorEnv.set_attr`.

        Runs that are not among the indices keep theirs, or have None.
        """
        values = [None] * self.num_envs
        if self.has_attr(attr_name):
            values = self.get_attr(attr_name)
        for row in self._get_indices(indices):
            values[row] = value
        self._batch.set_attr(attr_name, values)

    def env_method(
        self,
        method_name: str,
        *args: Any,
        indices: None | int | Iterable[int] = None,
        **kwargs: Any,
    ) -> list[Any]:
        """Results of a method of each run, see `AutoLossVectorEnv.call`."""
        results = self._batch.call(method_name, *args, **kwargs)
        return [results[row] for row in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type, indices: None | int | Iterable[int] = None
    ) -> list[bool]:
        return [wrapper_class is Monitor] * len(list(self._get_indices(indices)))

    def get_images(self) -> Sequence[np.ndarray | None]:
        return self.envs.render() or [None] * self.num_envs

    @property
    def _batch(self) -> Any:
        """The `AutoLossVectorEnv` under its wrappers, which pass no names on."""
        return self.envs.unwrapped

    def _shared_options(self) -> dict[str, Any]:
        """The options of the next reset, which hold for all runs."""
        first, *others = self._options
        if not all(data_equivalence(first, each) for each in others):
            raise ValueError(
                f"options {self._options}: the runs of a batch are reset with the same options; "
                "give set_options one dictionary"
            )
        return first


def _to_numpy(values: Any) -> np.ndarray:
    return values.cpu().numpy() if isinstance(values, Tensor) else values


def _pack_to_host(
    observations: Any, rewards: Any, dones: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three outputs as NumPy arrays, copied from the device as one tensor."""
    if not isinstance(observations, Tensor):
        return observations, rewards, dones
    packed = (
        torch.cat([observations, rewards[:, None], dones[:, None].to(observations.dtype)], dim=1)
        .cpu()
        .numpy()
    )
    return np.ascontiguousarray(packed[:, :-2]), packed[:, -2], packed[:, -1] > 0.5
