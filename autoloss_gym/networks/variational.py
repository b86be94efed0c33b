"""Codes of variational models: a normal distribution for each row, drawn from and compared.

Kingma, Welling: "Auto-Encoding Variational Bayes", ICLR 2014.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Code(NamedTuple):
    """Independent normal numbers of each row.

    Args:
        mean: μ.
        log_variance: log σ².
    """

    mean: Float[Tensor, "num_envs rows latents"]
    log_variance: Float[Tensor, "num_envs rows latents"]


def as_code(outputs: Float[Tensor, "num_envs rows outputs"]) -> Code:
    """The code that a network gives: the first half of its outputs is μ, the second log σ²."""
    mean, log_variance = outputs.chunk(2, dim=2)
    # Contiguous, so that `exp` takes one path, and has the same bits, for all batches.
    return Code(mean.contiguous(), log_variance.contiguous())


def reparametrised(
    noise: Float[Tensor, "num_envs rows latents"], code: Code
) -> Float[Tensor, "num_envs rows latents"]:
    """A draw μ + σ ε from each code, with gradients by μ and σ; the noise ε is standard normal."""
    return code.mean + torch.exp(code.log_variance * 0.5) * noise


def divergence(code: Code) -> Float[Tensor, "num_envs rows"]:
    """KL(N(μ, σ²) ‖ N(0, 1)) of each row, −½ Σ (1 + log σ² − μ² − σ²) over its numbers."""
    mean, log_variance = code
    terms = mean * mean + torch.exp(log_variance) - log_variance - 1
    return terms.sum(dim=2) * 0.5
