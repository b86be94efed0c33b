"""Losses that fit a model to targets, for many runs at once."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

# Risks are counted from here: a model that is right on all rows gains little by being surer still.
_FLOOR = 0.05
MOST_LOG_RISK = 5.0
# Excess errors are counted from here: half a per cent more is as good as none.
_LEAST_EXCESS = 0.005


def cross_entropy(
    logits: Float[Tensor, "num_envs rows classes"],
    targets: Int64[Tensor, "num_envs rows"],
    weights: Float[Tensor, "num_envs rows"] | None = None,
) -> Float[Tensor, " num_envs"]:
    """Mean over rows of −log softmax(logits) at the target; with weights, which sum to 1, the
    weighted sum.
    """
    # Over the middle dimension of (num_envs, classes, rows), log_softmax is many times as fast.
    logs = torch.log_softmax(logits.transpose(1, 2).contiguous(), dim=1)
    chosen = logs.gather(1, targets[:, None]).squeeze(1)
    return -chosen.mean(dim=1) if weights is None else -(chosen * weights).sum(dim=1)


def error_rate(
    logits: Float[Tensor, "num_envs rows classes"], targets: Int64[Tensor, "num_envs rows"]
) -> Float[Tensor, " num_envs"]:
    """Share of rows whose largest logit is not the target's."""
    if logits.shape[2] == 2:
        # `argmax` over a few classes takes many times as long as one comparison.
        predicted = (logits[:, :, 1] > logits[:, :, 0]).to(torch.int64)
    else:
        predicted = logits.argmax(dim=2)
    return (predicted != targets).to(torch.float32).mean(dim=1)


def mean_squared_error(
    predictions: Float[Tensor, "num_envs rows"],
    targets: Float[Tensor, "num_envs rows"],
    weights: Float[Tensor, "num_envs rows"] | None = None,
) -> Float[Tensor, " num_envs"]:
    """Mean over rows of (prediction − target)²; with weights, which sum to 1, the weighted sum."""
    error = predictions - targets
    squares = error * error
    return squares.mean(dim=1) if weights is None else (squares * weights).sum(dim=1)


def log_excess_error(
    logits: Float[Tensor, "num_envs rows 2"], second_class: Float[Tensor, "num_envs rows"]
) -> Float[Tensor, " num_envs"]:
    """ln(e + 0.005), at most 0, with e the share of errors beyond those of the best predictor.

    Args:
        logits: of two classes.
        second_class: probability of the second class given the inputs of each row.
    """
    says_second = logits.argmax(dim=2) == 1
    lead = second_class - 0.5
    # Whoever disagrees with the likelier class errs with its probability instead of the other's.
    excess = torch.where(says_second == (lead > 0), 0.0, 2 * lead.abs()).mean(dim=1)
    return torch.log(excess + _LEAST_EXCESS).clamp(max=0.0)


def relative_log_risk(
    risk: Float[Tensor, " num_envs"], reference: Float[Tensor, " num_envs"]
) -> Float[Tensor, " num_envs"]:
    """ln((risk + 0.05) / (reference + 0.05)), at most 5.

    0 is as bad as the reference, which knows the targets alone; −0.1 is 10 % less.
    """
    ratio = torch.log((risk + _FLOOR) / (reference + _FLOOR))
    return ratio.clamp(max=MOST_LOG_RISK)
