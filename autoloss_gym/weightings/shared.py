"""Gradient norms of losses by the parameters that they share, from the losses' own graphs."""

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


def norms_by(
    shared: Sequence[Tensor], losses: Sequence[Any], labels: Sequence[str], asked: Sequence[bool]
) -> tuple[list[Tensor | float], list[bool]]:
    """‖∇L‖ of each loss, at least in float32; the graphs stay for the caller's own backward.

    Args:
        shared: the parameters; those that need no gradient are left out.
        losses: tensors of one element; numbers have no gradient.
        labels: their names, for errors.
        asked: of which losses the norm is wanted; it is 0 for the others.

    Returns:
        The norms, 0 where a loss does not reach the parameters, and which losses reach them.

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
            "shared= takes the norms; or give gradient_norms=…"
        )
    norms: list[Tensor | float] = []
    reached = []
    for loss, label, is_asked in zip(losses, labels, asked, strict=True):
        gradients = _gradients(loss, label, parameters) if is_asked else []
        reached.append(bool(gradients))
        norms.append(_norm(gradients) if gradients else 0.0)
    return norms, reached


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


def _norm(gradients: list[Tensor]) -> Float[Tensor, ""]:
    """The norm over all entries; squares of float16 would overflow."""
    norms = []
    for gradient in gradients:
        values = gradient.coalesce().values() if gradient.is_sparse else gradient
        dtype = torch.promote_types(values.dtype, torch.float32)
        norms.append(torch.linalg.vector_norm(values, dtype=dtype))
    home, dtype = norms[0].device, norms[0].dtype
    together = torch.stack([norm.to(home, dtype) for norm in norms])
    return torch.linalg.vector_norm(together)
