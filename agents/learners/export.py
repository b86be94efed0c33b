"""Controllers that leave the lab: the policy of a run folder, free of environment and learner."""

from pathlib import Path
from typing import Any

import gymnasium
from gymnasium import spaces
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.dqn.policies import DQNPolicy
from stable_baselines3.sac.policies import SACPolicy
from stable_baselines3.td3.policies import TD3Policy
from torch import Tensor, nn

from autoloss_gym.controllers.controller import Controller, Form
from autoloss_gym.controllers.networks.perceptron import ACTIVATIONS, Perceptron
from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools.arguments import build

from ..configuration import WITH_BASE, TrainingConfiguration
from ..environments import with_defaults
from ..run_folders import load_configuration
from . import reinforce, stable_baselines3
from .checkpoints import load_weights
from .groups.base_files import load_base, load_training_runs
from .groups.building import build_shift_network
from .meta_gradients.building import build_still_network


def export(folder: Path) -> Controller:
    """The controller that a training has stored.

    Raises:
        ValueError: there are no weights, or the policy is more than layers with a known activation.
    """
    configuration = load_configuration(folder)
    chosen = with_defaults(configuration.env, configuration.env_kwargs)
    chosen |= {"device": "cpu", "array": "numpy"}
    if configuration.algo in WITH_BASE:
        arguments = dict(chosen.get("control_arguments") or {})
        chosen["control_arguments"] = {**arguments, "base": load_base(folder)}
    envs = gymnasium.make_vec(configuration.env, num_envs=1, **chosen)
    assert isinstance(envs, AutoLossVectorEnv)
    found = _policy(configuration, envs)
    steps = load_weights(found, folder)
    runs = load_training_runs(folder) if configuration.algo in WITH_BASE else 0
    network, form, deviations = _parts(found, envs.single_action_space)
    arguments = {
        "label": configuration.algo,
        "seed": configuration.seed,
        "description": envs.description,
        "control": chosen.get("control", "pair"),
        "control_arguments": chosen.get("control_arguments") or {},
        "network": network.eval(),
        "form": form,
        "deviations": deviations,
        "training_runs": runs or _runs(steps, envs),
    }
    # As the environment has them, which adds a group to what relative step sizes observe.
    seen = {name: getattr(envs.features, name) for name in ("scaling", "drop", "add")}
    return build(Controller, {**arguments, **seen, "repeat": envs.repeat})


def _policy(configuration: TrainingConfiguration, envs: AutoLossVectorEnv) -> nn.Module:
    """The untrained policy."""
    if configuration.algo == "group":
        return build_shift_network(configuration, envs)
    if configuration.algo == "meta_gradient":
        return build_still_network(configuration, envs)
    if configuration.algo == "reinforce":
        return reinforce.build_controller(configuration, envs)
    return stable_baselines3.build_policy(configuration, envs)


def _runs(steps: int, envs: AutoLossVectorEnv) -> int:
    """Training runs behind so many steps of the environment."""
    control: Any = envs.control
    moments = getattr(control, "moments", None)
    in_a_run = len(moments(envs.description)) if moments else envs.task.max_steps // envs.repeat
    return -(-steps // in_a_run)


def _parts(
    policy: nn.Module, space: gymnasium.Space
) -> tuple[Perceptron | ShiftNetwork, Form, Tensor | None]:
    """Network, form of its outputs, and deviations of the actions."""
    if isinstance(policy, ShiftNetwork):
        return policy, "shift", None
    if isinstance(policy, Perceptron):
        return policy, "logits", None
    assert isinstance(policy, BasePolicy)
    if isinstance(policy, DQNPolicy):
        return _perceptron([policy.q_net.q_net]), "values", None
    if isinstance(policy, TD3Policy):
        return _perceptron([policy.actor.mu]), "squashed", None
    if isinstance(policy, SACPolicy):
        actor = policy.actor
        return _perceptron([actor.latent_pi, actor.mu], squash=True), "squashed", None
    if not isinstance(policy, ActorCriticPolicy):
        raise ValueError(f"a {type(policy).__name__} cannot be exported: expected one of MlpPolicy")
    network = _perceptron([policy.mlp_extractor.policy_net, policy.action_net])
    if isinstance(space, spaces.Discrete):
        return network, "logits", None
    if isinstance(space, spaces.MultiDiscrete):
        return network, "several", None
    is_plain = isinstance(policy.action_dist, DiagGaussianDistribution)
    return network, "mean", policy.log_std.detach().exp() if is_plain else None


def _perceptron(parts: list[nn.Module], squash: bool = False) -> Perceptron:
    """The same layers as a network of ours.

    Raises:
        ValueError: there is something else than linear layers with one activation between them.
    """
    layers = [layer for part in parts for layer in _flat(part)]
    if isinstance(layers[-1], nn.Tanh):
        squash = True
        layers = layers[:-1]
    linear = [layer for layer in layers[::2] if isinstance(layer, nn.Linear)]
    names = {_activation(layer) for layer in layers[1::2]} or {"tanh"}
    if None in names or len(names) > 1 or len(linear) < len(layers[::2]):
        raise ValueError(
            f"layers {', '.join(map(str, layers))}: expected linear ones with one of "
            f"{', '.join(ACTIVATIONS)} between them, which an exported controller can have"
        )
    sizes = [linear[0].in_features, *[int(layer.out_features) for layer in linear]]
    activation = str(names.pop())
    network = Perceptron(sizes[0], sizes[-1], sizes[1:-1], activation=activation, squash=squash)
    own = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    for mine, theirs in zip(own, linear, strict=True):
        mine.load_state_dict(theirs.state_dict())
    return network


def _flat(part: nn.Module) -> list[nn.Module]:
    if not isinstance(part, nn.Sequential):
        return [part]
    return [layer for each in part for layer in _flat(each)]


def _activation(layer: nn.Module) -> str | None:
    """Its name among ours."""
    for name, make in ACTIVATIONS.items():
        if repr(make()) == repr(layer):
            return name
    return None
