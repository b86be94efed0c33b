"""Gradients of pairs → the gradient of each block that its optimizer is given."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym.core.control import Factors
from autoloss_gym.core.differentiation import Gradients, PartialGradient
from autoloss_gym.core.task import Pair
from autoloss_gym.tools.compiling import is_eager_on_cpu

# Of each block by name, its gradient (num_envs, size), finite everywhere, and which runs have one.
Steps = dict[str, tuple[Tensor, Tensor]]
_LEAST_NORM = 1e-6  # added to norms that are divided by


def combined(
    blocks: Iterable[str],
    pairs: Sequence[Pair],
    gradients: Gradients,
    weights: Factors | None,
    used: Bool[Tensor, "num_envs pairs"],
    clip_norm: float,
) -> Steps:
    """The gradients of all blocks for which something was computed; see `combine`.

    Args:
        blocks: names of all blocks.
        pairs, gradients, used: see `combine`.
        weights: for blocks of several pairs and for those of one, see `combine`.
        clip_norm: greatest norm of what a run takes a step along, over all blocks of the step
            together (Pascanu, Mikolov, Bengio: "On the difficulty of training recurrent neural
            networks", ICML 2013), as in `torch.nn.utils.clip_grad_norm_`; 0 for any.
    """
    if clip_norm and weights is None:
        # A run has one pair: what that pair moves is all that its step moves.
        gradients = _clipped_pairs(pairs, gradients, clip_norm)
    steps = {}
    for block in blocks:
        own = None
        if weights is not None:
            is_shared = sum(block in pair.blocks for pair in pairs) > 1
            own = weights.shared if is_shared else weights.own
        gradient, active = combine(block, pairs, gradients, own, used)
        if gradient is not None:
            steps[block] = gradient, active
    if not (clip_norm and weights is not None and steps):
        return steps
    squares = [(gradient * gradient).sum(dim=1) for gradient, _ in steps.values()]
    factor = _clip_factor(squares, clip_norm)
    return {block: (gradient * factor, active) for block, (gradient, active) in steps.items()}


def _clipped_pairs(pairs: Sequence[Pair], gradients: Gradients, clip_norm: float) -> Gradients:
    """The gradients of each pair, with at most this norm over all its blocks."""
    clipped = {}
    for index, pair in enumerate(pairs):
        if (index, pair.blocks[0]) not in gradients:
            continue
        parts = [gradients[index, block] for block in pair.blocks]
        factor = _clip_factor([part.squares for part in parts], clip_norm)
        for block, part in zip(pair.blocks, parts, strict=True):
            clipped[index, block] = replace(part, values=part.values * factor)
    return clipped


def _clip_factor(
    squares: Sequence[Float[Tensor, " runs"]], clip_norm: float
) -> Float[Tensor, "runs 1"]:
    """What makes the norm of each run, whose parts have these squares, at most `clip_norm`."""
    norm = torch.sqrt(sum(squares[1:], squares[0]))
    return (clip_norm / (norm + _LEAST_NORM)).clamp(max=1.0)[:, None]


def combine(
    block: str,
    pairs: Sequence[Pair],
    gradients: Gradients,
    weights: Float[Tensor, "num_envs pairs"] | None,
    used: Bool[Tensor, "num_envs pairs"],
) -> tuple[Tensor | None, Bool[Tensor, " num_envs"]]:
    """The gradient of a block over the pairs in use, and the runs that have one.

    Args:
        block: name of the block.
        pairs: all arms.
        gradients: what was computed; it may be infinite where a pair is not used.
        weights: factors on the gradients; None where every run uses one pair, with weight 1.
        used: which pairs each run uses.

    Returns:
        The gradient (num_envs, size), finite everywhere, or None where nothing was computed for the
        block: no run updates it then.
    """
    users = [index for index, pair in enumerate(pairs) if block in pair.blocks]
    active = (used if len(users) == len(pairs) else used[:, users]).any(dim=1)
    found = [index for index in users if (index, block) in gradients]
    parts = [gradients[index, block] for index in found]
    masks = [used[:, index : index + 1] for index in found]
    if weights is None:
        if parts and _is_all(active):
            return _chosen_by_all(parts, masks), active
        return _chosen(parts, masks), active
    total = None
    for index, part, mask in zip(found, parts, masks, strict=True):
        factor = weights[:, index : index + 1]
        weighted = torch.where(mask, part.of_all(len(mask)) * factor, 0.0)
        total = weighted if total is None else total + weighted
    return total, active


def _chosen(
    parts: Sequence[PartialGradient], masks: Sequence[Bool[Tensor, "num_envs 1"]]
) -> Tensor | None:
    """The gradient of the pair that a run has chosen, and 0 for runs that have none.

    A run has at most one pair: its gradient is chosen instead of summed with zeros.
    """
    total = None
    for part, mask in zip(parts, masks, strict=True):
        if part.rows is None:
            total = torch.where(mask, part.values, 0.0 if total is None else total)
            continue
        own = mask.index_select(0, part.rows)
        values = part.values if _is_all(own) else torch.where(own, part.values, 0.0)
        total = _with_rows(total, part.rows, values, len(mask))
    return total


def _chosen_by_all(
    parts: Sequence[PartialGradient], masks: Sequence[Bool[Tensor, "num_envs 1"]]
) -> Tensor:
    """The same where every run has chosen a pair: few masks are needed, which are slow.

    Rows are written over those of a gradient that was computed for all runs.
    """
    total = None
    for part, mask in zip(parts, masks, strict=True):
        if part.rows is None:
            total = part.values if total is None else torch.where(mask, part.values, total)
    is_own = total is None
    for part in parts:
        if part.rows is not None:
            # The first gradient is not changed: it may be a block's own numbers.
            before = total if total is None or is_own else total.clone()
            total = _with_rows(before, part.rows, part.values, len(masks[0]))
            is_own = True
    assert total is not None
    return total


def _with_rows(
    total: Tensor | None, rows: Int64[Tensor, " rows"], values: Tensor, num_envs: int
) -> Float[Tensor, "num_envs size"]:
    """`total`, changed where no graph hangs on it, with these values for the runs `rows`."""
    if total is None:
        total = values.new_zeros(num_envs, values.shape[1])
    if total.requires_grad:
        return total.index_copy(0, rows, values)
    return total.index_copy_(0, rows, values)


def _is_all(mask: Bool[Tensor, "runs ..."]) -> bool:
    """Whether the mask is known to leave no run out: a selection would only copy."""
    return is_eager_on_cpu(mask) and bool(mask.all())
