"""Advantages and the clipped objective, by hand and against a plain PyTorch loop of one run."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from autoloss_gym import random
from autoloss_gym.controllers.online.learner import Learner
from autoloss_gym.controllers.online.networks import ActorCritic
from autoloss_gym.controllers.online.objective import (
    advantages,
    clipped_loss,
    entropy,
    standardised,
)
from autoloss_gym.controllers.online.settings import OnlineSettings
from autoloss_gym.controllers.online.transitions import Transitions


def test_advantages_sum_the_surprises_to_come():
    """With γ = 0.5 and λ = 0.5: surprises 1 + 2 − 3 = 0, 0 + 1 − 4 = −3 and 2 + 4 − 2 = 4."""
    found = advantages(
        torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]]),
        torch.tensor([[3.0, 4.0, 2.0], [0.0, 0.0, 0.0]]),
        torch.tensor([8.0, 0.0]),
        gamma=0.5,
        trace=0.5,
    )
    assert found.tolist() == [[-0.5, -2.0, 4.0], [0.0, 0.0, 0.0]]


def test_standardised_advantages_have_deviation_1_but_noise_is_not_blown_up():
    found = standardised(torch.tensor([[1.0, 3.0], [0.001, 0.003]]))
    torch.testing.assert_close(found, torch.tensor([[-1.0, 1.0], [-0.01, 0.01]]))


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.0, 2.0, -2.0, -2.0),
        (1.5, 2.0, -2.4, 0.0),  # enough: 1.2 · 2
        (0.5, 2.0, -1.0, -1.0),
        (1.5, -2.0, 3.0, 3.0),
        (0.5, -2.0, 1.6, 0.0),  # enough: 0.8 · −2
    ],
)
def test_a_ratio_counts_up_to_the_clip_where_it_helps_and_wholly_where_it_harms(
    ratio, advantage, loss, slope
):
    logs = torch.tensor([[math.log(ratio)]], requires_grad=True)
    found = clipped_loss(logs, torch.zeros(1, 1), torch.tensor([[advantage]]), clip=0.2)
    found.sum().backward()
    assert found.item() == pytest.approx(loss)
    assert logs.grad.item() == pytest.approx(slope)


def test_losses_are_means_over_the_decisions_of_each_run():
    logs = torch.log(torch.tensor([[[0.5, 0.5], [0.25, 0.75]], [[0.9, 0.1], [0.9, 0.1]]]))
    by_hand = [
        (math.log(2) - 0.25 * math.log(0.25) - 0.75 * math.log(0.75)) / 2,
        -0.9 * math.log(0.9) - 0.1 * math.log(0.1),
    ]
    assert entropy(logs).tolist() == pytest.approx(by_hand)
    found = clipped_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([[1.0, 4.0]]), 0.2)
    assert found.tolist() == [-2.5]


class PlainPPO:
    """One run, written as anyone would in PyTorch."""

    def __init__(self, networks: ActorCritic, parameters: torch.Tensor, settings) -> None:
        self.settings = settings
        self.actor = self._network(networks, parameters, "actor", networks.num_actions)
        self.critic = self._network(networks, parameters, "critic", 1)
        both = [*self.actor.parameters(), *self.critic.parameters()]
        self.adam = torch.optim.Adam(both, lr=settings.learning_rate)

    @staticmethod
    def _network(networks, parameters, name, outputs):
        filled = torch.split(parameters, [math.prod(each) for each in networks._shapes().values()])
        tensors = dict(zip(networks._shapes(), filled, strict=True))
        layers = []
        for index, (inputs, units) in enumerate(pairwise((networks.num_inputs, 32, 32, outputs))):
            layer = nn.Linear(inputs, units)
            weight = tensors[f"{name} weight {index}"].view(
                networks._shapes()[f"{name} weight {index}"]
            )
            layer.weight.data = weight[:inputs, :units].T.clone()
            layer.bias.data = tensors[f"{name} bias {index}"][:units].clone()
            layers += [layer, nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    def learn(self, transitions: Transitions, run: int, next_value: float, orders) -> None:
        settings = self.settings
        rewards, values = transitions.rewards[run].tolist(), transitions.values[run].tolist()
        found, later, following = [], 0.0, next_value
        for reward, value in zip(reversed(rewards), reversed(values), strict=True):
            later = reward + settings.gamma * following - value + settings.gamma * 0.95 * later
            following = value
            found.insert(0, later)
        raw = torch.tensor(found)
        targets = raw + transitions.values[run]
        shown = (raw - raw.mean()) / max(raw.std(correction=0).item(), 0.1)
        for order in orders:
            for rows in order.split(settings.batch):
                distribution = torch.distributions.Categorical(
                    logits=self.actor(transitions.observations[run, rows])
                )
                logs = distribution.log_prob(transitions.choices[run, rows])
                ratio = torch.exp(logs - transitions.logs[run, rows])
                bounded = torch.clamp(ratio, 0.8, 1.2)
                objective = torch.min(ratio * shown[rows], bounded * shown[rows]).mean()
                values = self.critic(transitions.observations[run, rows])[:, 0]
                loss = nn.functional.mse_loss(values, targets[rows]) - objective
                loss = loss - settings.entropy * distribution.entropy().mean()
                self.adam.zero_grad()
                loss.backward()
                self.adam.step()


def test_a_run_learns_as_a_plain_loop_of_pytorch_does():
    settings = OnlineSettings(segment=1, buffer=30, batch=8, epochs=3, entropy=0.02)
    networks, keys = ActorCritic(num_inputs=5, num_actions=3), torch.arange(4)
    learner = Learner(networks, settings, keys)
    plain = PlainPPO(networks, learner.parameters[2], settings)
    transitions = Transitions(4, 30, 5)
    generator = torch.Generator().manual_seed(0)
    for update in range(3):
        transitions.clear()
        for _ in range(30):
            observations = torch.randn(4, 5, generator=generator)
            logs, values = learner.evaluate(observations)
            choices = torch.randint(3, (4,), generator=generator)
            transitions.add(observations, choices, logs.gather(1, choices[:, None])[:, 0], values)
            transitions.pay(torch.randn(4, generator=generator))
        assert transitions.is_full
        keys_of_order = random.fold_in(keys, "order")[2:3]
        passes = range(3 * update, 3 * update + 3)
        orders = [random.permutation(random.fold_in(keys_of_order, each), 30)[0] for each in passes]
        assert all(sorted(order.tolist()) == list(range(30)) for order in orders)
        next_value = torch.randn(4, generator=generator)
        learner.learn(transitions, next_value, torch.ones(4, dtype=torch.bool))
        plain.learn(transitions, 2, next_value[2].item(), orders)

    seen = torch.randn(7, 5, generator=generator)
    logs, values = networks(learner.parameters, seen.expand(4, -1, -1))
    torch.testing.assert_close(logs[2], torch.log_softmax(plain.actor(seen), dim=1).detach())
    torch.testing.assert_close(values[2], plain.critic(seen)[:, 0].detach())
    assert (logs[2] - logs[1]).abs().max() > 0.01


def test_the_zeros_that_fill_up_layers_stay_zeros():
    learner = Learner(
        ActorCritic(5, 3), OnlineSettings(segment=1, buffer=4, entropy=0.1), torch.arange(2)
    )
    before = learner.parameters.clone()
    transitions = Transitions(2, 4, 5)
    transitions.observations.normal_()
    transitions.rewards.normal_()
    transitions.count = 4
    learner.learn(transitions, torch.zeros(2), torch.ones(2, dtype=torch.bool))
    # Biases of 0 are learned too: of 2 × 64 units, 3 choices and 1 value.
    weights = 2 * (5 * 32 + 32 * 32) + 32 * 3 + 32
    assert (before[0] != 0).sum() == weights
    assert (learner.parameters[0] != 0).sum() <= weights + 2 * 64 + 3 + 1
    assert (learner.parameters != before).any(dim=1).all()


def test_networks_begin_with_weights_of_their_own_run_and_about_equal_probabilities():
    networks = ActorCritic(6, 4)
    parameters = networks.initial(torch.arange(200))
    drawn = parameters[:, (parameters != 0).any(dim=0)]
    assert (drawn[1:] != drawn[:-1]).all()
    first = parameters[:, : 16 * 32].view(200, 16, 32)[:, :6]
    assert first.std().item() == pytest.approx(6**-0.5, rel=0.05)
    logs, values = networks(parameters, torch.ones(200, 1, 6))
    torch.testing.assert_close(torch.exp(logs), torch.full((200, 1, 4), 0.25), atol=0.05, rtol=0)
    assert 0 < values.abs().max() < 0.3


def test_a_run_whose_gradient_is_not_finite_stays_as_it_is_and_learns_when_it_is_finite_again():
    settings = OnlineSettings(segment=1, buffer=6, batch=3, epochs=2)
    broken, whole = (Learner(ActorCritic(5, 2), settings, torch.arange(2)) for _ in range(2))
    begun = broken.parameters.clone()
    transitions = Transitions(2, 6, 5)
    transitions.observations.normal_(generator=torch.Generator().manual_seed(0))
    transitions.rewards[:, ::2] = 1.0
    everyone = torch.ones(2, dtype=torch.bool)
    whole.learn(transitions, torch.zeros(2), everyone)
    transitions.rewards[1, 3] = math.nan
    broken.learn(transitions, torch.zeros(2), everyone)
    assert torch.equal(broken.parameters[0], whole.parameters[0])
    assert torch.equal(broken.parameters[1], begun[1])
    transitions.rewards[1, 3] = 0.0
    broken.learn(transitions, torch.zeros(2), everyone)
    assert torch.isfinite(broken.parameters).all()
    assert (broken.parameters != begun).any(dim=1).all()
