"""The latest decisions of many runs, and what came of them."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class Transitions:
    """So many decisions of each run, which are all made at the same time.

    Args:
        num_envs: runs.
        size: decisions that it holds.
        num_inputs: numbers of an observation.

    Attributes:
        count: decisions that it holds now.
    """

    def __init__(self, num_envs: int, size: int, num_inputs: int) -> None:
        shape = (num_envs, size)
        self.size = size
        self.count = 0
        self.observations = torch.zeros(*shape, num_inputs, dtype=torch.float32, device="cpu")
        self.choices = torch.zeros(shape, dtype=torch.int64, device="cpu")
        self.logs = torch.zeros(shape, dtype=torch.float32, device="cpu")
        self.values = torch.zeros(shape, dtype=torch.float32, device="cpu")
        self.rewards = torch.zeros(shape, dtype=torch.float32, device="cpu")

    @property
    def is_full(self) -> bool:
        return self.count == self.size

    def add(
        self,
        observations: Float[Tensor, "num_envs inputs"],
        choices: Int64[Tensor, " num_envs"],
        logs: Float[Tensor, " num_envs"],
        values: Float[Tensor, " num_envs"],
    ) -> None:
        """Take in a decision of every run.

        Args:
            observations: what it was made on.
            choices: the pairs.
            logs: of the probabilities that they had.
            values: what the critic expected.
        """
        place = self.count
        self.observations[:, place] = observations
        self.choices[:, place] = choices
        self.logs[:, place] = logs
        self.values[:, place] = values
        self.count += 1

    def pay(self, rewards: Float[Tensor, " num_envs"]) -> None:
        """Take in what the last decision has earned."""
        self.rewards[:, self.count - 1] = rewards

    def clear(self) -> None:
        """Forget all of them."""
        self.count = 0

    def state_dict(self) -> dict[str, Any]:
        """All that it holds, copied."""
        return {"count": self.count} | {name: each.clone() for name, each in self._tensors.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Hold what the state does."""
        self.count = int(state["count"])
        for name, own in self._tensors.items():
            own.copy_(state[name])

    @property
    def _tensors(self) -> dict[str, Tensor]:
        names = ("observations", "choices", "logs", "values", "rewards")
        return {name: getattr(self, name) for name in names}
