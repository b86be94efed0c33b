"""The same rollout gives the same estimates and the same update as Stable-Baselines3's PPO."""

import copy

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger

from agents.learners.distributions import distribution_of
from agents.learners.hyperparameters import checked_hyperparameters
from agents.learners.proximal.options import TensorPPOOptions
from agents.learners.proximal.rollouts import Rollout, advantages
from agents.learners.proximal.updates import FIGURES, update
from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv

ID = "AutoLoss/QuadraticRegression-v1"
STEPS, NUM_ENVS = 6, 5
# A minibatch that is smaller than the others, and figures at which every term of the loss counts.
CHOSEN = {"n_steps": STEPS, "batch_size": 8, "n_epochs": 3, "ent_coef": 0.1, "clip_range": 0.1,
          "learning_rate": 0.01, "max_grad_norm": 0.3, "policy_kwargs": {"net_arch": [8]}}  # fmt: skip
CONTROLS = {
    "discrete": {},
    "box": {"control": "weights"},
    "multi-discrete": {"control_arguments": {"step_size": True}},
}
CHANGES = {
    "as they are": {},
    "values clipped, advantages plain": {"clip_range_vf": 0.1, "normalize_advantage": False},
    "until it has gone too far": {"target_kl": 0.05, "learning_rate": 0.1},
}


def reference(control, changes):
    """A model of Stable-Baselines3 whose buffer holds a rollout, as if of another policy."""
    small = {"dimension": 2, "num_samples": 20, "max_steps": 20, **CONTROLS[control]}
    envs = StableBaselines3VecEnv(gymnasium.make_vec(ID, num_envs=NUM_ENVS, **small))
    with pytest.warns(UserWarning, match="truncated mini-batch"):
        model = PPO("MlpPolicy", envs, seed=3, device="cpu", **{**CHOSEN, **changes})
    model.set_logger(Logger(None, []))
    generator = np.random.default_rng(0)
    buffer = model.rollout_buffer
    width = envs.observation_space.shape[0]
    ended = np.zeros(NUM_ENVS)
    for _ in range(STEPS):
        observations = generator.normal(size=(NUM_ENVS, width)).astype(np.float32)
        with torch.no_grad():
            actions, values, logarithms = model.policy(torch.from_numpy(observations))
        rewards = generator.normal(size=NUM_ENVS).astype(np.float32)
        moved = logarithms + 0.1 * torch.randn(NUM_ENVS)
        taken = actions.numpy().reshape(NUM_ENVS, -1)
        buffer.add(observations, taken, rewards, ended, values, moved)
        ended = generator.uniform(size=NUM_ENVS) < 0.3
    last = torch.from_numpy(generator.normal(size=NUM_ENVS).astype(np.float32))
    buffer.compute_returns_and_advantage(last, ended)
    return model, last, ended


def options_of(changes):
    return TensorPPOOptions(**checked_hyperparameters(TensorPPOOptions, {**CHOSEN, **changes}))


def test_advantages_are_those_of_its_buffer():
    model, last, ended = reference("discrete", {})
    buffer = model.rollout_buffer
    ends = torch.from_numpy(np.vstack([buffer.episode_starts[1:], ended]) == 1)
    assert ends.any()
    assert not ends.all()
    rewards, values = torch.from_numpy(buffer.rewards), torch.from_numpy(buffer.values)
    estimates = advantages(rewards, values, ends, last, options_of({}))
    torch.testing.assert_close(estimates, torch.from_numpy(buffer.advantages))


def rollout_of(buffer, control):
    # A single choice is a column of its own there.
    actions = buffer.actions[..., 0] if control == "discrete" else buffer.actions
    columns = (buffer.observations, actions, buffer.log_probs, buffer.values, buffer.advantages)
    return Rollout(*(torch.from_numpy(each.copy()).flatten(0, 1) for each in columns))


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("control", CONTROLS)
def test_an_update_moves_the_weights_as_its_own_does(control, changes, monkeypatch):
    model, *_ = reference(control, CHANGES[changes])
    options = options_of(CHANGES[changes])
    policy = copy.deepcopy(model.policy)
    optimizer = torch.optim.Adam(policy.parameters(), lr=options.learning_rate, eps=1e-5)
    rollout = rollout_of(model.rollout_buffer, control)

    # Its buffer is in the order of the runs, ours in that of the steps.
    generator = np.random.default_rng(1)
    theirs = [generator.permutation(STEPS * NUM_ENVS) for _ in range(options.n_epochs)]
    ours = [torch.from_numpy(each % STEPS * NUM_ENVS + each // STEPS) for each in theirs]
    left = iter(theirs)
    monkeypatch.setattr(np.random, "permutation", lambda size: next(left))
    before = copy.deepcopy(policy.state_dict())
    model.train()
    figures, epochs = update(policy, distribution_of(policy), optimizer, rollout, ours, options)

    assert epochs == model._n_updates
    assert (epochs < options.n_epochs) == (options.target_kl is not None)
    for name, value in zip(FIGURES, figures.tolist(), strict=True):
        expected = model.logger.name_to_value[f"train/{name}"]
        assert value == pytest.approx(expected, rel=1e-4, abs=1e-6), name
    for name, weights in model.policy.state_dict().items():
        assert not torch.equal(weights, before[name])
        torch.testing.assert_close(policy.state_dict()[name], weights, rtol=1e-4, atol=1e-6)
