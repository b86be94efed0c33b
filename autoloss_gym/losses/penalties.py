"""A loss that fits and an L1 penalty (AutoLoss §4.1): their pairs, jointly for all parameters or a
penalty for each block.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from autoloss_gym.core.loss import ClosedForm, Loss, Parameters
from autoloss_gym.core.task import Pair
from autoloss_gym.tools.names import unknown

ALL = "weights"  # the one block of joint pairs


def penalty_pairs(
    pairs: Any, loss: str, penalised: Iterable[str], others: Iterable[str] = ()
) -> tuple[Pair, ...]:
    """The pairs that "joint" or "split" stands for, the fitting loss first.

    Args:
        pairs: "joint": (loss, all parameters) and (l1, all parameters). "split": (loss, all
            blocks), and (l1_BLOCK, BLOCK) for each penalised block. Or the result of this function,
            which is returned.
        loss: name of the fitting loss.
        penalised, others: names of the blocks.

    Raises:
        ValueError: `pairs` is none of these.
    """
    penalised = tuple(penalised)
    made = {
        "joint": (Pair(loss, (ALL,), cheap=False), Pair("l1", (ALL,))),
        "split": (
            Pair(loss, (*penalised, *others), cheap=False),
            *(Pair(f"l1_{block}", (block,)) for block in penalised),
        ),
    }
    kind = _kind(pairs) if isinstance(pairs, tuple) else pairs
    if not isinstance(kind, str) or kind not in made:
        raise ValueError(unknown("pairs", pairs, made))
    return made[kind]


def _kind(pairs: tuple[Any, ...]) -> str | None:
    """What made these pairs, perhaps for other blocks; None if they are something else."""
    if not all(isinstance(pair, Pair) for pair in pairs) or len(pairs) < 2:
        return None
    names = [pair.name for pair in pairs[1:]]
    return (
        "joint"
        if names == ["l1"]
        else "split"
        if all(name.startswith("l1_") for name in names)
        else None
    )


def packed_for(
    pairs: tuple[Pair, ...], blocks: dict[str, dict[str, Tensor]]
) -> dict[str, dict[str, Tensor]]:
    """Tensors by block and name, as one block where the pairs are joint."""
    return {ALL: named_tensors(blocks)} if pairs[0].blocks == (ALL,) else blocks


def named_tensors(parameters: Parameters) -> dict[str, Tensor]:
    """All tensors by name, however they are packed."""
    return {name: values for block in parameters.values() for name, values in block.items()}


def penalties(
    pairs: tuple[Pair, ...], coefficient: float, exempt: Iterable[str] = ()
) -> dict[str, Loss]:
    """The L1 losses of `pairs` by name: coefficient · the sum of the absolute values of their
    blocks, but for `exempt`.
    """
    return {pair.loss: _penalty(pair.blocks, coefficient, tuple(exempt)) for pair in pairs[1:]}


def _penalty(blocks: tuple[str, ...], coefficient: float, exempt: tuple[str, ...]) -> ClosedForm:
    def loss(parameters: Parameters, batch: Any) -> Tensor:
        tensors = named_tensors({block: parameters[block] for block in blocks})
        flat = [values.flatten(1) for name, values in tensors.items() if name not in exempt]
        return torch.cat(flat, dim=1).abs().sum(dim=1) * coefficient

    def value_and_gradient(parameters: Parameters, batch: Any) -> tuple[Tensor, Parameters]:
        gradients = {
            block: {
                name: torch.zeros_like(values) if name in exempt else values.sign() * coefficient
                for name, values in parameters[block].items()
            }
            for block in blocks
        }
        return loss(parameters, batch), gradients

    return ClosedForm(loss, value_and_gradient)
