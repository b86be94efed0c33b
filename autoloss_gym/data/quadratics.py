"""Regression problems drawn at random: noisy samples of linear and quadratic functions."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.data.masks import as_weights, kept_rows
from autoloss_gym.data.resampled_tables import with_validation_in_training
from autoloss_gym.tools.bounds import FloatRange, IntRange, largest

HALF_WIDTH = 5.0  # inputs are uniform on [-5, 5]
_LARGEST_WEIGHT = 0.5  # true weights are uniform on [-0.5, 0.5]


@dataclass(frozen=True, kw_only=True)
class QuadraticProblems:
    """y = w*·u + uᵀA* u / 10 + noise, with w* and A* uniform on [-0.5, 0.5], or A* = 0.

    Ranges are drawn uniformly for each problem.

    Args:
        dimension: features d.
        num_samples: training samples; of a range, the largest number is stored and masked.
        num_held_out: samples of the validation and of the test part.
        noise: deviation of the noise.
        active_features: features that the target depends on; None means all.
        true_quadratic: share of the problems with A* other than 0.
        train_on_validation: whether the training part has the validation part's samples too.
    """

    dimension: int
    num_samples: IntRange
    num_held_out: int
    noise: FloatRange
    active_features: IntRange | None
    true_quadratic: float
    train_on_validation: bool

    def draw(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Any]:
        """Problems with their samples.

        Returns:
            `training`, `validation` and `test`, each {"inputs": (num_envs, rows, d), "targets":
            (num_envs, rows)}, where `num_samples` is a range `training` also "weights" (num_envs,
            rows), which sum to 1; `truth` (num_envs, d), and where some problems have it
            `true_quadratic` (num_envs, d, d). All are float32.
        """
        truth = self._truth(keys)
        noise = self._noise(keys)
        data: dict[str, Any] = {}
        for part in ("training", "validation", "test"):
            rows = largest(self.num_samples) if part == "training" else self.num_held_out
            data[part] = self._samples(random.fold_in(keys, part), rows, truth, noise)
        if isinstance(self.num_samples, tuple):
            self._mask(keys, data)
        if self.train_on_validation:
            data = with_validation_in_training(data)
        if isinstance(self.num_samples, tuple):
            data["training"] = as_weights(data["training"])
            del data["validation"]["kept"]
        return data | truth

    def _noise(self, keys: Int64[Tensor, " num_envs"]) -> float | Tensor:
        """The deviation of all problems, or of each."""
        if not isinstance(self.noise, tuple):
            return self.noise
        return random.ranged(random.fold_in(keys, "deviation"), self.noise)

    def _truth(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        size, most = self.dimension, _LARGEST_WEIGHT
        truth = random.uniform(random.fold_in(keys, "truth"), (size,), -most, most)
        weights = {"truth": truth}
        if self.true_quadratic:
            stream = random.fold_in(keys, "true quadratic")
            quadratic = random.uniform(stream, (size, size), -most, most)
            some = random.uniform(random.fold_in(keys, "has quadratic")) < self.true_quadratic
            weights["true_quadratic"] = quadratic * some[:, None, None]
        if self.active_features is None:
            return weights
        count = random.ranged_integers(random.fold_in(keys, "active"), self.active_features)
        order = random.permutation(random.fold_in(keys, "which are active"), size)
        active = (order < count[:, None]).to(truth.dtype)
        weights["truth"] = truth * active
        if "true_quadratic" in weights:
            weights["true_quadratic"] = weights["true_quadratic"] * (
                active[:, :, None] * active[:, None, :]
            )
        return weights

    def _samples(
        self,
        keys: Int64[Tensor, " num_envs"],
        rows: int,
        truth: dict[str, Tensor],
        noise: float | Float[Tensor, " num_envs"],
    ) -> dict[str, Tensor]:
        shape = (rows, self.dimension)
        inputs = random.uniform(random.fold_in(keys, "inputs"), shape, -HALF_WIDTH, HALF_WIDTH)
        stream = random.fold_in(keys, "noise")
        if isinstance(noise, Tensor):
            error = random.normal(stream, (rows,)) * noise[:, None]
        else:
            error = random.normal(stream, (rows,), noise)
        # Not a matrix product: its bits would depend on the number of runs.
        slopes = truth["truth"][:, None, :]
        if "true_quadratic" in truth:
            products = inputs[:, :, :, None] * truth["true_quadratic"][:, None]
            slopes = slopes + products.sum(dim=2) / 10
        return {"inputs": inputs, "targets": (inputs * slopes).sum(dim=2) + error}

    def _mask(self, keys: Int64[Tensor, " num_envs"], data: dict[str, Any]) -> None:
        """Let every run keep as many training samples as its problem has; the others become 0."""
        counts = random.ranged_integers(random.fold_in(keys, "num samples"), self.num_samples)
        training, validation = data["training"], data["validation"]
        kept = kept_rows(counts, largest(self.num_samples))
        # Samples that do not count are 0, so that no run diverges for them.
        training["inputs"] = training["inputs"] * kept[:, :, None]
        training["targets"] = training["targets"] * kept
        training["kept"] = kept
        validation["kept"] = torch.ones_like(validation["targets"])
