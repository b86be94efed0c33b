"""What a training with Stable-Baselines3 goes on from, as a tree that a file can hold."""

from collections.abc import Mapping
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.save_util import recursive_getattr
from torch import nn

from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from autoloss_gym.tools.forms import Array, OneOf, Real, Whole

from .checkpoints import COUNT, environment_form, form_of, optimizer_form, set_optimizer

_COUNTERS = {
    "num_timesteps": COUNT,
    "_n_updates": COUNT,
    "_n_calls": COUNT,
    "_episode_num": COUNT,
    "_current_progress_remaining": Real(most=1),
    "exploration_rate": Real(0, 1),
}
_REPLAYED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
# The state of NumPy's PCG64.
_GENERATOR = {
    "bit_generator": OneOf(("PCG64",)),
    "state": {"state": Whole(0, 2**128 - 1), "inc": Whole(0, 2**128 - 1)},
    "has_uint32": Whole(0, 1),
    "uinteger": Whole(0, 2**32 - 1),
}


def take(model: BaseAlgorithm, envs: StableBaselines3VecEnv) -> dict[str, Any]:
    """The state of an algorithm and of its environment, between two rollouts."""
    modules, optimizers, variables = _parts(model)
    content: dict[str, Any] = {
        "modules": {name: module.state_dict() for name, module in modules.items()},
        "optimizers": {name: each.state_dict()["state"] for name, each in optimizers.items()},
        "variables": variables,
        "counters": {name: getattr(model, name) for name in _counters(model)},
        "last_observations": model._last_obs,
        "last_episode_starts": model._last_episode_starts,
        "actions": model.action_space.np_random.bit_generator.state,
        "envs": envs.state_dict(),
    }
    if isinstance(model, OffPolicyAlgorithm):
        buffer = model.replay_buffer
        assert buffer is not None
        content["replayed"] = {name: getattr(buffer, name) for name in _REPLAYED}
        content["position"] = buffer.pos
        content["is_full"] = buffer.full
    return content


def form(model: BaseAlgorithm, envs: StableBaselines3VecEnv) -> dict[str, Any]:
    """The form of what `take` returns."""
    modules, optimizers, variables = _parts(model)
    shape = envs.observation_space.shape
    assert shape is not None
    expected = {
        "modules": form_of({name: module.state_dict() for name, module in modules.items()}),
        "optimizers": {name: optimizer_form(each) for name, each in optimizers.items()},
        "variables": form_of(variables),
        "counters": {name: _COUNTERS[name] for name in _counters(model)},
        "last_observations": Array("float32", (envs.num_envs, *shape)),
        "last_episode_starts": Array("bool", (envs.num_envs,)),
        "actions": _GENERATOR,
        "envs": {**form_of(envs.state_dict()), "envs": environment_form(envs.envs)},
    }
    if isinstance(model, OffPolicyAlgorithm):
        buffer = model.replay_buffer
        assert buffer is not None
        expected["replayed"] = form_of({name: getattr(buffer, name) for name in _REPLAYED})
        expected["position"] = Whole(0, buffer.buffer_size - 1)
        expected["is_full"] = OneOf((False, True))
    return expected


def restore(model: BaseAlgorithm, envs: StableBaselines3VecEnv, content: Mapping[str, Any]) -> None:
    """Set an algorithm and its environment to what `take` returned."""
    modules, optimizers, variables = _parts(model)
    for name, module in modules.items():
        module.load_state_dict(content["modules"][name])
    for name, optimizer in optimizers.items():
        set_optimizer(optimizer, content["optimizers"][name])
    for name, variable in variables.items():
        variable.data.copy_(content["variables"][name])
    for name, value in content["counters"].items():
        setattr(model, name, value)
    model._last_obs = content["last_observations"].numpy()
    model._last_episode_starts = content["last_episode_starts"].numpy()
    model.action_space.np_random.bit_generator.state = content["actions"]
    if isinstance(model, OffPolicyAlgorithm):
        buffer = model.replay_buffer
        assert buffer is not None
        for name, values in content["replayed"].items():
            getattr(buffer, name)[...] = values.numpy()
        buffer.pos = content["position"]
        buffer.full = content["is_full"]
    envs.load_state_dict(content["envs"])


def _parts(
    model: BaseAlgorithm,
) -> tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer], dict[str, torch.Tensor]]:
    """Modules, optimizers and single tensors that an algorithm learns with, by name."""
    names, variable_names = model._get_torch_save_params()
    modules: dict[str, nn.Module] = {}
    optimizers: dict[str, torch.optim.Optimizer] = {}
    for name in names:
        part = recursive_getattr(model, name)
        if isinstance(part, torch.optim.Optimizer):
            optimizers[name] = part
        else:
            modules[name] = part
    return modules, optimizers, {name: getattr(model, name) for name in variable_names}


def _counters(model: BaseAlgorithm) -> list[str]:
    return [name for name in _COUNTERS if hasattr(model, name)]
