"""Eigenvalues of random quadratics, and where descent on them begins."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.tools.bounds import FloatRange, IntRange
from autoloss_gym.tools.bounds import largest as most

Spectrum = Literal["logarithmic", "uniform", "wishart"]


@dataclass(frozen=True, kw_only=True)
class Spectra:
    """Problems ½ wᵀH w in the basis of H's eigenvectors; ranges are drawn for each problem.

    Args:
        kind: how the eigenvalues between the two ends lie: "logarithmic" (their logarithms
            uniform) or "uniform"; "wishart" are those of XᵀX, X (d, d) normal, whatever the ends.
        dimension: number of eigenvalues; of a range the largest is stored, and others are 0.
        largest: the greatest eigenvalue, of a range log-uniform.
        condition: the greatest by the least eigenvalue, of a range log-uniform.
    """

    kind: Spectrum
    dimension: IntRange
    largest: FloatRange
    condition: FloatRange

    def eigenvalues(
        self, keys: Int64[Tensor, " num_envs"]
    ) -> tuple[Float[Tensor, "num_envs d"], Bool[Tensor, "num_envs d"]]:
        """Eigenvalues in float64, and which of them the problem has; the others are 0."""
        size = most(self.dimension)
        counts = random.ranged_integers(random.fold_in(keys, "dimension"), self.dimension)
        places = torch.arange(size, dtype=torch.int64, device=keys.device)
        present = places < counts[:, None]
        if self.kind == "wishart":
            return _wishart(keys, size, present), present

        greatest = random.ranged(random.fold_in(keys, "largest"), self.largest, logarithmic=True)
        condition = random.ranged(
            random.fold_in(keys, "condition"), self.condition, logarithmic=True
        )
        draws = random.uniform(random.fold_in(keys, "eigenvalues"), (size,)).to(torch.float64)
        # Both ends are there: the first is 1, the last that the problem has is 0.
        last = places == counts[:, None] - 1
        shares = torch.where(last, 0.0, draws).masked_fill(places == 0, 1.0)
        high = greatest.to(torch.float64)[:, None]
        low = high / condition.to(torch.float64)[:, None]
        if self.kind == "uniform":
            values = low + shares * (high - low)
        else:
            values = low * torch.exp(shares * torch.log(high / low))
        return torch.where(present, values, 0.0), present


def unit_vectors(
    keys: Int64[Tensor, " num_envs"], present: Bool[Tensor, "num_envs d"]
) -> Float[Tensor, "num_envs d"]:
    """Points on the unit sphere, uniform, float64; 0 where a coordinate is not present."""
    draws = random.normal(random.fold_in(keys, "start"), (present.shape[1],)).to(torch.float64)
    draws = torch.where(present, draws, 0.0)
    return draws / torch.sqrt((draws * draws).sum(dim=1, keepdim=True))


def _wishart(
    keys: Int64[Tensor, " num_envs"], size: int, present: Bool[Tensor, "num_envs d"]
) -> Float[Tensor, "num_envs d"]:
    draws = random.normal(random.fold_in(keys, "wishart"), (size, size)).to(torch.float64)
    draws = draws * (present[:, :, None] & present[:, None, :])
    # Not a matrix product: its bits would depend on the number of runs.
    product = torch.zeros_like(draws)
    for row in draws.unbind(dim=1):
        product = product + row[:, :, None] * row[:, None, :]
    found = torch.linalg.eigvalsh(product).flip(1)
    return torch.where(present, found.clamp(min=math.ulp(1.0)), 0.0)
