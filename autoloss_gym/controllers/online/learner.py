"""Learns an actor and a critic for each of many runs, which share nothing."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.controllers.online.networks import ActorCritic
from autoloss_gym.controllers.online.objective import (
    advantages,
    clipped_loss,
    entropy,
    standardised,
)
from autoloss_gym.controllers.online.settings import OnlineSettings
from autoloss_gym.controllers.online.transitions import Transitions
from autoloss_gym.optimizers import Adam
from autoloss_gym.tools import tree

Decisions = Float[Tensor, "num_envs decisions"]


class Learner:
    """The networks of all runs, with one Adam each.

    Args:
        networks: form of the networks.
        settings: numbers of the learning.
        keys: of the initial weights and the order of the decisions, one a run.
    """

    def __init__(
        self, networks: ActorCritic, settings: OnlineSettings, keys: Int64[Tensor, " num_envs"]
    ) -> None:
        self._networks = networks
        self._settings = settings
        self._adam = Adam(learning_rate=settings.learning_rate)
        self._order_keys = random.fold_in(keys, "order")
        self.parameters = networks.initial(random.fold_in(keys, "weights"))
        self._moments = self._adam.init(self.parameters)
        self._passes = 0  # through decisions, so far

    @torch.no_grad()
    def evaluate(
        self, observations: Float[Tensor, "num_envs inputs"]
    ) -> tuple[Float[Tensor, "num_envs actions"], Float[Tensor, " num_envs"]]:
        """Logarithms of the probabilities of the choices, and values."""
        logs, values = self._networks(self.parameters, observations[:, None])
        return logs[:, 0], values[:, 0]

    def learn(
        self,
        transitions: Transitions,
        next_value: Float[Tensor, " num_envs"],
        running: Bool[Tensor, " num_envs"],
    ) -> None:
        """Go through all decisions several times, in an order of each run's own.

        Args:
            transitions: full.
            next_value: what the critic expects after the last decision.
            running: runs that learn; the others stay as they are.
        """
        settings = self._settings
        rewards, values = transitions.rewards, transitions.values
        raw = advantages(rewards, values, next_value, settings.gamma, settings.trace)
        targets = raw + values
        shown = standardised(raw)
        for _ in range(settings.epochs):
            keys = random.fold_in(self._order_keys, self._passes)
            order = random.permutation(keys, transitions.size)
            self._passes += 1
            for rows in order.split(settings.batch, dim=1):
                self._step(transitions, rows, shown, targets, running)

    def state_dict(self) -> dict[str, Any]:
        """Weights, moments and passes, copied."""
        return {
            "parameters": self.parameters.clone(),
            "moments": tree.clone(self._moments),
            "passes": self._passes,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken."""
        self.parameters = state["parameters"].clone()
        self._moments = tree.clone(state["moments"])
        self._passes = int(state["passes"])

    def _step(
        self,
        transitions: Transitions,
        rows: Int64[Tensor, "num_envs batch"],
        advantages: Decisions,
        targets: Decisions,
        running: Bool[Tensor, " num_envs"],
    ) -> None:
        """One step of Adam on some decisions of each run."""
        settings = self._settings
        width = transitions.observations.shape[2]
        observations = transitions.observations.gather(1, rows[:, :, None].expand(-1, -1, width))
        choices = transitions.choices.gather(1, rows)
        logs_before = transitions.logs.gather(1, rows)
        parameters = self.parameters.detach().requires_grad_()
        with torch.enable_grad():
            logs, values = self._networks(parameters, observations)
            chosen = logs.gather(2, choices[:, :, None])[:, :, 0]
            policy_loss = clipped_loss(
                chosen, logs_before, advantages.gather(1, rows), settings.clip
            )
            value_loss = (values - targets.gather(1, rows)).square().mean(dim=1)
            # The networks share no parameters, so that the losses need no weights between them.
            losses = policy_loss + value_loss - settings.entropy * entropy(logs)
            (gradients,) = torch.autograd.grad(losses.sum(), [parameters])
        finite = torch.isfinite(gradients).all(dim=1)
        # A run whose gradient is not finite stays as it is, and keeps its moments.
        gradients = torch.where(finite[:, None], gradients, 0.0)
        with torch.no_grad():
            one = torch.ones_like(targets[:, 0])
            self._adam.update(self.parameters, gradients, self._moments, running & finite, one)
