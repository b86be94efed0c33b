"""The small networks that shift a schedule at a few decisions."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from autoloss_gym.tools.bounds import PositiveFloat, Units
from autoloss_gym.tools.fields import converted

_LEAST_SCALE = 1e-6  # of an observation that never changes under the base


class ShiftNetwork(nn.Module):
    """One tanh network for each decision, from what is observed there to the mean of its action.

    Observations are standardised for each decision by what was measured under the base schedule,
    and clipped. The last layer begins at 0, so that an untrained controller plays the base.

    Args:
        num_decisions: decisions in a run.
        num_features: numbers in an observation.
        num_actions: entries of an action.
        hidden_size: units of the hidden layer.
        clip: the largest standardised observation.
        blind: whether every observation is replaced by zeros, which makes a controller to compare
            with.

    Raises:
        ValueError: a size is no integer from 1 to 65536, or the clip not positive.
    """

    def __init__(
        self,
        num_decisions: int,
        num_features: int,
        num_actions: int,
        hidden_size: int,
        clip: float = 3.0,
        blind: bool = False,
    ) -> None:
        super().__init__()
        decisions = converted("num_decisions", num_decisions, Units)
        features = converted("num_features", num_features, Units)
        actions = converted("num_actions", num_actions, Units)
        hidden = converted("hidden_size", hidden_size, Units)
        self.clip = converted("clip", clip, PositiveFloat)
        self.blind = converted("blind", blind, bool)
        # What was measured comes first: its last dimension says what was observed in training.
        self.center = nn.Parameter(_zeros(decisions, features), requires_grad=False)
        self.scale = nn.Parameter(_zeros(decisions, features) + 1.0, requires_grad=False)
        self.hidden_weights = nn.Parameter(_zeros(decisions, features, hidden))
        self.hidden_biases = nn.Parameter(_zeros(decisions, 1, hidden))
        self.action_weights = nn.Parameter(_zeros(decisions, hidden, actions))
        self.action_biases = nn.Parameter(_zeros(decisions, 1, actions))
        self.log_deviations = nn.Parameter(_zeros(decisions, 1, actions))
        nn.init.normal_(self.hidden_weights, std=features**-0.5)

    @property
    def num_decisions(self) -> int:
        return self.center.shape[0]

    @torch.no_grad()
    def measure(self, observations: Float[Tensor, "decisions num_envs features"]) -> None:
        """Take mean and deviation of what was observed under the base schedule."""
        wide = observations.double()
        self.center.copy_(wide.mean(dim=1))
        self.scale.copy_(wide.std(dim=1, correction=0).clamp(min=_LEAST_SCALE))

    def forward(
        self, observations: Float[Tensor, "decisions num_envs features"]
    ) -> Float[Tensor, "decisions num_envs actions"]:
        """Mean actions, float32, on the device of the weights."""
        inputs = self._standardised(observations, self.center[:, None], self.scale[:, None])
        hidden = torch.tanh(inputs @ self.hidden_weights + self.hidden_biases)
        return hidden @ self.action_weights + self.action_biases

    @torch.no_grad()
    def act(
        self,
        observations: Float[Tensor, "num_envs features"],
        decisions: Int64[Tensor, " num_envs"],
    ) -> Float[Tensor, "num_envs actions"]:
        """Mean actions of runs, each at the decision of that number."""
        means = self.action_biases.new_zeros(len(observations), self.action_biases.shape[2])
        for decision in range(self.num_decisions):
            chosen = self.at(decision, observations)
            means = torch.where((decisions == decision)[:, None], chosen, means)
        return means

    @torch.no_grad()
    def at(
        self, decision: int, observations: Float[Tensor, "num_envs features"]
    ) -> Float[Tensor, "num_envs actions"]:
        """Mean actions of runs that are all at one decision."""
        inputs = self._standardised(observations, self.center[decision], self.scale[decision])
        hidden = torch.tanh(inputs @ self.hidden_weights[decision] + self.hidden_biases[decision])
        return hidden @ self.action_weights[decision] + self.action_biases[decision]

    def _standardised(self, observations: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        inputs = ((observations - center) / scale).clamp(-self.clip, self.clip)
        return torch.zeros_like(inputs) if self.blind else inputs


def _zeros(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.float32, device="cpu")
