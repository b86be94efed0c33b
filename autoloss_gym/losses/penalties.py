"""A loss that fits, and penalties of all parameters or of each block (AutoLoss §4.1)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from autoloss_gym.core.loss import ClosedForm, Loss, Packed
from autoloss_gym.core.task import Pair
from autoloss_gym.tools.names import unknown
from autoloss_gym.tools.tree import Parameters

PENALTIES = ("joint", "split")
ALL = "weights"  # the one block that joint pairs have


def check_penalty(penalty: str) -> None:
    """ValueError unless it is "joint" or "split"."""
    if penalty not in PENALTIES:
        raise ValueError(unknown("penalty", penalty, PENALTIES))


def penalty_pairs(
    penalty: str, loss: str, penalised: Sequence[str], others: Sequence[str] = ()
) -> tuple[Pair, ...]:
    """The pairs of a fitting loss, which comes first, and its penalties.

    Args:
        penalty: "joint" for (loss, all parameters) and (l1, all parameters); "split" for (loss, all
            blocks) and (l1_BLOCK, BLOCK) for each penalised block.
        loss: name of the fitting loss.
        penalised: names of the blocks that have a penalty.
        others: names of the blocks that have none.
    """
    if penalty == "joint":
        return Pair(loss, (ALL,), cheap=False), Pair("l1", (ALL,))
    fit = Pair(loss, (*penalised, *others), cheap=False)
    return fit, *(Pair(f"l1_{block}", (block,)) for block in penalised)


def packed_for(penalty: str, blocks: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """Tensors by block and name; all in one block where the penalty is joint."""
    return {ALL: named_tensors(blocks)} if penalty == "joint" else blocks


def named_tensors(parameters: Parameters) -> dict[str, Tensor]:
    """All tensors by name, in whichever blocks they are."""
    named: dict[str, Tensor] = {}
    for block in parameters.values():
        named |= block
    return named


def penalties(
    pairs: Sequence[Pair], coefficient: float, exempt: Iterable[str] = ()
) -> Mapping[str, Loss]:
    """The L1 losses of `pairs` by name: coefficient · Σ |θ| over the blocks of each.

    Args:
        pairs: what `penalty_pairs` made.
        coefficient: factor λ.
        exempt: names of tensors that are not penalised.
    """
    spared = tuple(exempt)
    return {pair.loss: _penalty(pair.blocks, coefficient, spared) for pair in pairs[1:]}


def squares(block: str, coefficient: float) -> ClosedForm:
    """The L2 penalty of a block, a dict of tensors: coefficient · Σ θ²."""

    def loss(parameters: Parameters, batch: Any) -> Tensor:
        flat = torch.cat([values.flatten(1) for values in parameters[block].values()], dim=1)
        return (flat * flat).sum(dim=1) * coefficient

    def value_and_gradient(parameters: Parameters, batch: Any) -> tuple[Tensor, Parameters]:
        gradient = {name: values * (2 * coefficient) for name, values in parameters[block].items()}
        return loss(parameters, batch), {block: gradient}

    def packed(parameters: Packed, batch: Any) -> tuple[Tensor, Packed]:
        flat = parameters[block]
        return (flat * flat).sum(dim=1) * coefficient, {block: flat * (2 * coefficient)}

    return ClosedForm(loss, value_and_gradient, packed)


def _penalty(blocks: Sequence[str], coefficient: float, exempt: Sequence[str]) -> ClosedForm:
    def loss(parameters: Parameters, batch: Any) -> Tensor:
        tensors = named_tensors({block: parameters[block] for block in blocks})
        flat = [values.flatten(1) for name, values in tensors.items() if name not in exempt]
        return torch.cat(flat, dim=1).abs().sum(dim=1) * coefficient

    def slope(name: str, values: Tensor) -> Tensor:
        return torch.zeros_like(values) if name in exempt else values.sign().mul_(coefficient)

    def value_and_gradient(parameters: Parameters, batch: Any) -> tuple[Tensor, Parameters]:
        gradients = {}
        for block in blocks:
            tensors = parameters[block]
            gradients[block] = {name: slope(name, values) for name, values in tensors.items()}
        return loss(parameters, batch), gradients

    def packed(parameters: Packed, batch: Any) -> tuple[Tensor, Packed]:
        flat = [parameters[block] for block in blocks]
        together = flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)
        slopes = [values.sign().mul_(coefficient) for values in flat]
        gradients = dict(zip(blocks, slopes, strict=True))
        return together.abs().sum(dim=1) * coefficient, gradients

    return ClosedForm(loss, value_and_gradient, None if exempt else packed)
