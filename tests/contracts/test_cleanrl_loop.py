"""A PPO loop in the style of CleanRL, written against nothing but Gymnasium and PyTorch, learns on
the environments.
"""

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical

import autoloss_gym  # noqa: F401 (registers the ids)

pytestmark = pytest.mark.filterwarnings("error")

ID = "AutoLoss/QuadraticRegression-v1"
# 8 + 64 parameters for 40 noisy samples: over 512 problems, shares 0, 1/2, 3/4 and 1 of `l1` steps
# earn mean returns of -0.56, 0.39, 0.61 and 0.07. An untrained policy is near 1/2.
TASK = {
    "dimension": 8,
    "num_samples": 40,
    "max_steps": 50,
    "validate_every": 5,
    "learning_rate": 0.05,
}
NUM_ENVS, ROLLOUT, ITERATIONS, EPOCHS, MINIBATCHES = 64, 50, 20, 4, 4
DISCOUNT, TRACE, CLIP, ENTROPY, VALUE = 0.99, 0.95, 0.2, 0.002, 0.5


class Agent(nn.Module):
    def __init__(self, num_features, num_actions):
        super().__init__()
        self.actor = self._network(num_features, num_actions, 0.01)
        self.critic = self._network(num_features, 1, 1.0)

    @staticmethod
    def _network(num_inputs, num_outputs, gain):
        head = nn.Linear(32, num_outputs)
        nn.init.orthogonal_(head.weight, gain)
        nn.init.zeros_(head.bias)
        return nn.Sequential(nn.Linear(num_inputs, 32), nn.Tanh(), head)

    def policy(self, observations):
        return Categorical(logits=self.actor(observations))

    def value(self, observations):
        return self.critic(observations).squeeze(-1)


@torch.no_grad()
def collect(agent, envs, observations):
    """One rollout; the value after a step is that of `final_obs` where an episode was cut off, and
    0 where it ended.
    """
    steps = []
    for _ in range(ROLLOUT):
        policy = agent.policy(observations)
        actions = policy.sample()
        following, rewards, terminations, truncations, infos = envs.step(actions)
        done = terminations | truncations
        successors = (
            torch.where(done[:, None], infos["final_obs"], following) if done.any() else following
        )
        next_values = torch.where(terminations, 0.0, agent.value(successors))
        log_probs, values = policy.log_prob(actions), agent.value(observations)
        steps.append((observations, actions, log_probs, rewards, values, next_values, done))
        observations = following
    return [torch.stack(column) for column in zip(*steps, strict=True)], observations


def advantages_of(rewards, values, next_values, done):
    advantages, running = torch.zeros_like(rewards), 0.0
    for step in reversed(range(len(rewards))):
        delta = rewards[step] + DISCOUNT * next_values[step] - values[step]
        running = delta + DISCOUNT * TRACE * torch.where(done[step], 0.0, running)
        advantages[step] = running
    return advantages


def loss_of(agent, observations, actions, log_probs, advantages, returns):
    policy = agent.policy(observations)
    ratio = (policy.log_prob(actions) - log_probs).exp()
    scaled = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    surrogate = torch.min(ratio * scaled, ratio.clamp(1 - CLIP, 1 + CLIP) * scaled).mean()
    value_loss = (agent.value(observations) - returns).square().mean()
    return -surrogate - ENTROPY * policy.entropy().mean() + VALUE * value_loss


def train(agent, envs):
    optimizer = torch.optim.Adam(agent.parameters(), lr=5e-3, eps=1e-5)
    observations, _ = envs.reset(seed=0)
    for _ in range(ITERATIONS):
        columns, observations = collect(agent, envs, observations)
        seen, actions, log_probs, rewards, values, next_values, done = columns
        advantages = advantages_of(rewards, values, next_values, done)
        columns = [
            x.flatten(0, 1) for x in (seen, actions, log_probs, advantages, advantages + values)
        ]
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(columns[0])).chunk(MINIBATCHES):
                optimizer.zero_grad()
                loss_of(agent, *(column[rows] for column in columns)).backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()


@torch.no_grad()
def episode_returns(agent):
    """Return of one episode on each of 256 problems that training never sees."""
    envs = gym.make_vec(ID, num_envs=256, split="validation", array="torch", **TASK)
    observations, _ = envs.reset(seed=0)
    returns = torch.zeros(256)
    for _ in range(TASK["max_steps"]):
        observations, rewards, terminations, _, _ = envs.step(agent.policy(observations).sample())
        returns += rewards
    assert terminations.all()
    return returns.numpy()


def test_ppo_learns_when_to_fit_and_when_to_shrink():
    torch.manual_seed(0)
    envs = gym.make_vec(ID, num_envs=NUM_ENVS, array="torch", **TASK)
    agent = Agent(envs.single_observation_space.shape[0], int(envs.single_action_space.n))
    untrained = episode_returns(agent)
    train(agent, envs)
    gain = episode_returns(agent) - untrained  # on the same problems
    assert gain.mean() > 0.15
    assert gain.mean() > 5 * gain.std() / np.sqrt(len(gain))


def test_where_an_episode_ends_final_obs_belongs_to_it_and_the_observation_to_the_next():
    envs = gym.make_vec(ID, num_envs=4, array="torch", **TASK)
    envs.reset(seed=0)
    for _ in range(2 * TASK["max_steps"]):
        observations, _, terminations, truncations, infos = envs.step(
            torch.zeros(4, dtype=torch.int64)
        )
        assert not truncations.any()
        assert ("final_obs" in infos) == bool(terminations.any())
    assert (infos["final_obs"][:, 0] == 1).all()  # the first feature is progress
    assert (observations[:, 0] == 0).all()
