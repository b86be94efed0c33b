"""Sizes of losses' gradients by the parameters that they share, from the losses' own graphs."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from autoloss_gym.tools.names import shown


def parameters_of(shared: Any) -> tuple[Tensor, ...] | None:
    """The parameters of a module, a tensor alone, or those that an iterable of either yields.

    Raises:
        ValueError: there are none, or an entry is something else.
    """
    if shared is None:
        return None
    found: list[Tensor] = []
    for entry in _entries(shared):
        if isinstance(entry, nn.Module):
            found += entry.parameters()
        elif isinstance(entry, Tensor):
            found.append(entry)
        else:
            raise ValueError(
                f"shared={shown(entry)}: expected parameters, such as trunk.parameters()"
            )
    if not found:
        raise ValueError(
            "shared=(): expected at least one parameter, such as trunk.parameters(); a generator "
            "can be read only once"
        )
    return tuple(found)


def _entries(shared: Any) -> list[Any]:
    if isinstance(shared, Tensor | nn.Module):
        return [shared]
    try:
        return list(shared)
    except TypeError:
        return [shared]


def figures_by(
    figures: str,
    shared: Sequence[Tensor],
    losses: Sequence[Any],
    labels: Sequence[str],
    asked: Sequence[bool],
) -> tuple[list[Tensor | float], list[bool]]:
    """Size of each loss' gradient, at least in float32; graphs stay for the caller's own backward.

    Args:
        figures: which size: "norms" or "magnitudes" (see `WeightingRule.gradient_figures`).
        shared: the parameters; those that need no gradient are left out.
        losses: tensors of one element; numbers have no gradient.
        labels: their names, for errors.
        asked: of which losses the size is wanted; it is 0 for the others.

    Returns:
        The sizes, 0 where a loss does not reach the parameters, and which losses reach them.

    Raises:
        ValueError: no loss has a graph, or PyTorch cannot differentiate one.
    """
    parameters = [each for each in shared if each.requires_grad]
    if not parameters:
        raise ValueError("shared= without a parameter that requires gradients: expected one")
    wanted = [loss for loss, is_asked in zip(losses, asked, strict=True) if is_asked]
    if wanted and not any(isinstance(loss, Tensor) and loss.requires_grad for loss in wanted):
        raise ValueError(
            "losses without a graph: expected losses that were computed with gradients, of which "
            "shared= takes the gradients; or give gradient_norms=…"
        )
    entries = sum(each.numel() for each in parameters)
    sizes: list[Tensor | float] = []
    reached = []
    for index, (loss, label, is_asked) in enumerate(zip(losses, labels, asked, strict=True)):
        gradients = _gradients(loss, label, parameters) if is_asked else []
        reached.append(bool(gradients))
        if not gradients:
            sizes.append(0.0)
        elif figures == "norms":
            sizes.append(torch.linalg.vector_norm(_norms(gradients, 2)))
        elif index == 0:
            sizes.append(_norms(gradients, math.inf).amax())
        else:
            # Entries of parameters that a loss does not reach count as 0.
            sizes.append(_norms(gradients, 1).sum() / entries)
    return sizes, reached


def _gradients(loss: Any, label: str, parameters: list[Tensor]) -> list[Tensor]:
    """The gradients that there are."""
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        return []
    try:
        found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{label} has no gradient by the shared parameters ({reason}): expected a graph that "
            "is still there; call the rule before backward()"
        ) from error
    return [gradient for gradient in found if gradient is not None]


def _norms(gradients: list[Tensor], order: float) -> Float[Tensor, " gradients"]:
    """The norm of each over all of its entries; squares of float16 would overflow."""
    norms = []
    for gradient in gradients:
        values = gradient.coalesce().values() if gradient.is_sparse else gradient
        if not values.numel():  # has no largest entry
            values = values.new_zeros(1)
        dtype = torch.promote_types(values.dtype, torch.float32)
        norms.append(torch.linalg.vector_norm(values, order, dtype=dtype))
    home, dtype = norms[0].device, norms[0].dtype
    return torch.stack([norm.to(home, dtype) for norm in norms])
