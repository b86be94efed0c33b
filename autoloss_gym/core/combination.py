"""Gradients of pairs → the gradient of each block that its optimizer is given."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from autoloss_gym.core.differentiation import Gradients
from autoloss_gym.core.task import Pair

# Of each block by name, its gradient (num_envs, size), finite everywhere, and which runs have one.
Steps = dict[str, tuple[Tensor, Tensor]]
_LEAST_NORM = 1e-6  # added to norms that are divided by


def combined(
    blocks: Iterable[str],
    pairs: Sequence[Pair],
    gradients: Gradients,
    weights: Float[Tensor, "num_envs pairs"] | None,
    used: Bool[Tensor, "num_envs pairs"],
    clip_norm: float,
) -> Steps:
    """The gradients of all blocks for which something was computed; see `combine`.

    Args:
        blocks: names of all blocks.
        pairs, gradients, weights, used: see `combine`.
        clip_norm: greatest norm of what a run takes a step along; 0 for any.
    """
    steps = {}
    for block in blocks:
        gradient, active = combine(block, pairs, gradients, weights, used)
        if gradient is not None:
            steps[block] = gradient, active
    return clipped(steps, clip_norm) if clip_norm else steps


def clipped(steps: Steps, clip_norm: float) -> Steps:
    """The gradients of each run, made smaller where their common norm exceeds `clip_norm`.

    The norm is over all blocks of the step together (Pascanu, Mikolov, Bengio: "On the difficulty
    of training recurrent neural networks", ICML 2013), as in `torch.nn.utils.clip_grad_norm_`.
    """
    squares = [(gradient * gradient).sum(dim=1) for gradient, _ in steps.values()]
    if not squares:
        return steps
    norm = torch.sqrt(sum(squares[1:], squares[0]))
    factor = (clip_norm / (norm + _LEAST_NORM)).clamp(max=1.0)[:, None]
    return {block: (gradient * factor, active) for block, (gradient, active) in steps.items()}


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
    total = None
    for index in users:
        if (index, block) not in gradients:
            continue
        part = gradients[index, block]
        mask = used[:, index : index + 1]
        if weights is None:
            # A run has at most one pair: its gradient is chosen instead of summed with zeros.
            total = torch.where(mask, part, 0.0 if total is None else total)
            continue
        weighted = torch.where(mask, part * weights[:, index : index + 1], 0.0)
        total = weighted if total is None else total + weighted
    of_users = used if len(users) == len(pairs) else used[:, users]
    return total, of_users.any(dim=1)
