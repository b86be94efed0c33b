"""How flat a loss is around a point, for many runs at once; both figures are differentiable."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random

# (num_envs, size) → (num_envs,)
Function = Callable[[Float[Tensor, "num_envs size"]], Float[Tensor, " num_envs"]]
_TINY = 1e-12


def hessian_norm(
    loss: Function,
    point: Float[Tensor, "num_envs size"],
    keys: Int64[Tensor, " num_envs"],
    iterations: int,
) -> Float[Tensor, " num_envs"]:
    """|vᵀ H v| with v from power iteration: at most the spectral norm of the Hessian.

    Gradients flow to the point through H; v counts as a constant, as that of an eigenvector drops
    out at the solution.

    Args:
        loss: of each run by its own row.
        point: where H is taken.
        keys: of the first v.
        iterations: products with H, the last of which gives the value.
    """
    differentiable = torch.is_grad_enabled() and point.requires_grad
    with torch.enable_grad():
        own = point if point.requires_grad else point.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(own).sum(), own, create_graph=True)

        def product(vector: Tensor, keep_graph: bool) -> Tensor:
            return torch.autograd.grad(
                (gradient * vector).sum(), own, retain_graph=True, create_graph=keep_graph
            )[0]

        vector = _unit(random.normal(keys, point.shape[1:]).to(point.dtype))
        for _ in range(iterations - 1):
            vector = _unit(product(vector, keep_graph=False).detach())
        value = (product(vector, differentiable) * vector).sum(dim=1).abs()
    return value if differentiable else value.detach()


def _unit(vectors: Float[Tensor, "num_envs size"]) -> Float[Tensor, "num_envs size"]:
    return vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True).clamp(min=_TINY)


def free_energy(
    loss: Function,
    point: Float[Tensor, "num_envs size"],
    keys: Int64[Tensor, " num_envs"],
    draws: int,
    radius: float,
) -> Float[Tensor, " num_envs"]:
    """−log E exp(−loss(point + δ)), δ normal with deviation `radius`: minus the local entropy of
    Chaudhari et al. 2017, up to a constant.

    Args:
        loss: of each run by its own row.
        point: the centre.
        keys: of the draws.
        draws: antithetic normal points of the neighbourhood.
        radius: their deviation.
    """
    values = []
    for index in range(draws):
        noise = random.normal(random.fold_in(keys, index // 2), point.shape[1:], radius)
        sign = 1 - 2 * (index % 2)
        values.append(loss(point + sign * noise.to(point.dtype)))
    return math.log(draws) - torch.logsumexp(-torch.stack(values), dim=0)
