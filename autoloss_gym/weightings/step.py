"""One call of a rule: what it was given, what it learns from that, and the weights it gives."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from autoloss_gym.weightings import single
from autoloss_gym.weightings.boundary.losses import (
    Names,
    Values,
    as_batch,
    as_mask,
    as_tensor,
    entries_of,
    listed,
    names_of,
)
from autoloss_gym.weightings.boundary.notices import note_losses
from autoloss_gym.weightings.measurements import Measurements, finite_ones
from autoloss_gym.weightings.reduction import averaged
from autoloss_gym.weightings.scaling import representable, scaled
from autoloss_gym.weightings.shared import figures_by, parameters_of

# What each kind of figure is, and what it is called.
_WANTED = {
    "norms": ("the norm of each loss's gradient", "norms"),
    "magnitudes": ("the largest |∂L/∂θ| of the first loss, the mean of the others", "magnitudes"),
    "kernel_traces": ("Σ_i ‖∂r(x_i)/∂θ‖² over the points of each loss", "traces"),
}
# Of those that rules measure themselves: what a loss is told that has none.
_UNREACHED = {
    "norms": "its gradient norm counts as 0, and its weight grows without a reason",
    "magnitudes": "its gradients count as 0, and teach nothing",
}


@dataclass
class Call:
    """What a rule was called with.

    Args:
        losses: as the user has them.
        refreshed: likewise, or None for all.
        gradient_norms: likewise, or None.
        names: of the losses, where they are a dict.
    """

    losses: Any
    refreshed: Values | None
    gradient_norms: Values | None
    names: Names | None

    @functools.cached_property
    def values(self) -> Shaped[Tensor, "*num_envs losses"]:
        """The losses as a tensor, with its graph if it is first asked for where there are graphs.

        Raises:
            ValueError: the losses are no real numbers.
        """
        return as_tensor("losses", self.losses, self.names)

    @property
    def batch(self) -> Shaped[Tensor, "num_envs losses"]:
        """The losses of one run as a batch of one."""
        return self.values if self.values.dim() == 2 else self.values[None]

    def mask(self) -> Bool[Tensor, "num_envs losses"]:
        """Which losses were measured anew."""
        return as_mask("refreshed", self.refreshed, self.batch, self.names)


def call_of(
    rule: Any, losses: Values, refreshed: Values | None, gradient_norms: Values | None
) -> Call:
    """The call of a rule with these arguments.

    Raises:
        ValueError: the losses have other names than before.
    """
    if type(losses) is list:  # spares the questions below, which are slow ones
        return Call(losses, refreshed, gradient_norms, None)
    losses = listed(losses)
    names = names_of(losses, rule._runs.names) if isinstance(losses, Mapping) else None
    return Call(losses, refreshed, gradient_norms, names)


def step(rule: Any, call: Call) -> Float[Tensor, "*num_envs losses"]:
    """Let the rule learn from a call; returns the weights in the dtype of the losses."""
    if rule.needs_gradient_norms and call.gradient_norms is None and rule.gradient_norms_due:
        call.gradient_norms = _norms_by_shared(rule, call)
    if call.refreshed is None and rule.reduce is None:
        weights = single.weigh(rule, call.losses, call.gradient_norms, call.names)
        if weights is not None:
            return weights
    # What is kept must serve outside of inference mode as well.
    with torch.inference_mode(False), torch.no_grad():
        values = call.batch.clone() if call.values.is_inference() else call.batch.detach()
        weights = _weights(rule, call, values)
        dtype = values.dtype if values.is_floating_point() else weights.dtype
        weights = representable(weights, dtype, rule._notices)
        return weights if call.values.dim() == 2 else weights[0]


def weighted_sum(
    call: Call, weights: Float[Tensor, "*num_envs losses"]
) -> Float[Tensor, "*num_envs"]:
    """Σ_k w_k L_k over the losses that were measured anew."""
    values = call.values
    if call.refreshed is not None:
        values = torch.where(call.mask().view(values.shape), values, 0)
    products = weights * values
    # The order in which many numbers are summed depends on the number of rows.
    if products.dim() == 1 and len(products) > single.MOST:
        return products[None].sum(dim=1)[0]
    return products.sum(dim=-1)


def _weights(rule: Any, call: Call, given: Tensor) -> Float[Tensor, "num_envs losses"]:
    values, state = rule._runs.begin(given, rule._fresh)
    mask = call.mask()
    norms = _norms(rule, call, values)
    measured, failed = _measured(rule, call.names, values, mask, norms)
    weights = rule._weigh(state, measured)
    if weights.shape != values.shape:
        raise ValueError(
            f"{type(rule).__name__}._weigh gave weights of shape {tuple(weights.shape)}: "
            f"expected {tuple(values.shape)}"
        )
    weights = scaled(weights, failed, rule.prior, rule.scale)

    if rule.every > 1:
        due = state["calls"] % rule.every == 0
        if failed is not None:
            due = due | failed
        weights = torch.where(due[:, None], weights, state["weights"])
    state["weights"] = weights
    rule._runs.commit(state, call.names)
    return weights


def _norms(rule: Any, call: Call, values: Tensor) -> Float[Tensor, "num_envs losses"] | None:
    """The norms that this call brings; None where it need not."""
    if not rule.needs_gradient_norms or call.gradient_norms is None:
        return None
    return as_batch("gradient_norms", call.gradient_norms, values, call.names).to(values.dtype)


def _none_given(rule: Any) -> ValueError:
    """The error of a rule that needs gradient norms, and was neither given any nor `shared`."""
    name = type(rule).__name__
    wanted, word = _WANTED[rule.gradient_figures]
    way = f"give update(losses, gradient_norms={word})"
    if rule.gradient_figures in _UNREACHED:
        way = (
            f"give {name}(shared=trunk.parameters()), which measures them, or set rule.shared "
            "before the first call, or update(losses, gradient_norms=…)"
        )
    return ValueError(
        f"gradient_norms=None: expected {wanted}, which {name} needs where gradient_norms_due; "
        + way
    )


def _norms_by_shared(rule: Any, call: Call) -> Values:
    """The sizes of the gradients from the graphs of one model's losses, as the rule wants them.

    A size that is 0 for good is noted.

    Raises:
        ValueError: the rule was not told what the losses share, or they have no graph.
    """
    shared = parameters_of(rule.shared) if rule.gradient_figures in _UNREACHED else None
    name = type(rule).__name__
    if shared is None:
        raise _none_given(rule)
    in_one = isinstance(call.losses, Tensor)
    with torch.enable_grad():  # the entries of a tensor have a graph, too
        batch = call.batch
        if len(batch) > 1:
            raise ValueError(
                f"losses of {len(batch)} runs with shared=: expected those of one model, whose "
                "parameters shared= names; give gradient_norms=…"
            )
        entries, labels = entries_of(batch[0] if in_one else call.losses, call.names)
    asked = call.mask()[0].tolist() if call.refreshed is not None else [True] * len(entries)
    norms, reached = figures_by(rule.gradient_figures, shared, entries, labels, asked)
    for index, label in enumerate(labels):
        # In a tensor every loss reaches what one of them does, perhaps with the gradient 0.
        is_unreached = norms[index] == 0 if in_one else not reached[index]
        if asked[index]:
            rule._notices.note(
                f"{name}: {label} does not reach the shared parameters; "
                f"{_UNREACHED[rule.gradient_figures]}",
                is_unreached,
            )
    return norms if call.names is None else dict(zip(call.names, norms, strict=True))


def _measured(
    rule: Any, names: Names | None, values: Tensor, mask: Tensor, norms: Tensor | None
) -> tuple[Measurements, Bool[Tensor, " num_envs"] | None]:
    """Measurements for `_weigh`, and the runs with values that are not finite, if any."""
    measured = Measurements(
        losses=values, refreshed=mask, gradient_norms=values if norms is None else norms
    )
    failed, least = None, math.nan
    if rule.reads_losses:
        if rule.reduce is not None:
            measured = averaged(measured, rule.reduce, names, not rule._runs.begun)
        measured, failed, least = finite_ones(measured)
    note_losses(rule._notices, rule, measured, failed, least)
    if rule.needs_gradient_norms and norms is None:
        measured = replace(measured, refreshed=torch.zeros_like(mask))
    return measured, failed
