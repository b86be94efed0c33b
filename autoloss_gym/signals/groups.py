"""Groups of features: the numbers that each shows of runs, before they are scaled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from autoloss_gym.signals.description import RunDescription
from autoloss_gym.signals.history import History

GROUPS = (
    "progress",
    "gradient_norms",
    "losses",
    "validation",
    "average",
    "difference",
    "second_difference",
    "norm_ratio",
    "loss_ratio",
    "patience",
    "extra",
)
# Only on demand; the gradient's ask for gradients that the observation alone needs.
ADDED = (
    "sizes",
    "sparsity",
    "gap",
    "best",
    "gradient_noise",
    "gradient_cosines",
    "shift",
    "step_size",
)
# A parameter under this absolute value counts as near zero: a few steps of an optimizer away.
NEAR_ZERO = 0.01
TINY = 1e-8

# One pair's gradient: its blocks by name, (num_envs, size) each.
Gradient = Mapping[str, Float[Tensor, "num_envs _"]]


@dataclass
class Signals:
    """All that the groups are computed from; one that no group asks for may be missing.

    Args:
        history: what is known of the runs.
        extra: what the task adds, (num_envs, extras), each within [-1, 1].
        parameters: packed blocks by name.
        gradients: each pair's gradient, under "next" at the present parameters, under "last" at
            those that the last update started from.
        shift: of the schedule that is held, (num_envs, entries), each within [-1, 1].
    """

    history: History
    extra: Float[Tensor, "num_envs extras"]
    parameters: Mapping[str, Float[Tensor, "num_envs _"]] = field(default_factory=dict)
    gradients: Mapping[str, Sequence[Gradient]] = field(default_factory=dict)
    shift: Float[Tensor, "num_envs entries"] | None = None


def needed_gradients(groups: Sequence[str]) -> tuple[str, ...]:
    """Which of `Signals.gradients` the groups look at."""
    if "gradient_noise" in groups:
        return "next", "last"
    return ("next",) if "gradient_cosines" in groups else ()


def check_added(description: RunDescription, groups: Sequence[str]) -> None:
    """ValueError, one line, at the first added group that runs of this description lack."""
    blocks = {name for pair in description.blocks for name in pair}
    losses, metrics = ", ".join(description.pairs), _metric_names(description)
    reasons = {
        "sizes": "" if blocks else "the description names no parameter blocks",
        "sparsity": "" if blocks else "the description names no parameter blocks",
        "gap": ""
        if _gaps(description)
        else f"no validation metric ({metrics}) has a loss ({losses}) of the same name",
        "gradient_cosines": "" if _meetings(description) else "no two losses share parameters",
    }
    for group in groups:
        if reasons.get(group):
            raise ValueError(f"add=[{group!r}]: {reasons[group]}; leave {group!r} out")


def columns(
    description: RunDescription, group: str, signals: Signals
) -> Float[Tensor, "num_envs size"]:
    """The numbers of a group."""
    if group in _COLUMNS:
        return _COLUMNS[group](description, signals)
    values: Tensor = getattr(signals.history, group)
    return values


def _progress(description: RunDescription, signals: Signals) -> Tensor:
    history = signals.history
    return (history.steps.to(history.losses.dtype) / description.max_steps)[:, None]


def _patience(description: RunDescription, signals: Signals) -> Tensor:
    history = signals.history
    return (1 - history.since_best.to(history.losses.dtype) / description.patience)[:, None]


def _extra(description: RunDescription, signals: Signals) -> Tensor:
    return signals.extra


def _norm_ratio(description: RunDescription, signals: Signals) -> Tensor:
    logs = torch.log(signals.history.gradient_norms.clamp(min=TINY))
    first, second = logs.chunk(2, dim=1)
    return first - second


def _loss_ratio(description: RunDescription, signals: Signals) -> Tensor:
    first, second = signals.history.losses.chunk(2, dim=1)
    return first / torch.where(second == 0, TINY, second)


def _sizes(description: RunDescription, signals: Signals) -> Tensor:
    blocks = [signals.parameters[name] for name in _block_names(description)]
    return torch.stack([block.abs().sum(dim=1) / block.shape[1] for block in blocks], dim=1)


def _sparsity(description: RunDescription, signals: Signals) -> Tensor:
    blocks = [signals.parameters[name] for name in _block_names(description)]
    counts = [(block.abs() < NEAR_ZERO).sum(dim=1) / block.shape[1] for block in blocks]
    return torch.stack(counts, dim=1)


def _gap(description: RunDescription, signals: Signals) -> Tensor:
    history = signals.history
    found = []
    for metric, loss in _gaps(description):
        found.append(_log(history.validation[:, metric]) - _log(history.losses[:, loss]))
    return torch.stack(found, dim=1)


def _best(description: RunDescription, signals: Signals) -> Tensor:
    """ln (1 + d / m), d the distance to the best, m the smaller of both values.

    Of positive values it is the logarithm of the worse to the better; m is at least `TINY`, so that
    values that are 0 or change their sign do no harm.
    """
    latest, best = signals.history.validation[:, 0], signals.history.best
    # Halved, or the distance of the largest numbers would be infinite.
    behind = (latest / 2 - best / 2).abs()
    smaller = torch.minimum(latest.abs(), best.abs()).clamp(min=TINY)
    return torch.log(1 + (behind / smaller).clamp(max=1 / TINY) * 2)[:, None]


def _gradient_noise(description: RunDescription, signals: Signals) -> Tensor:
    pairs = zip(signals.gradients["next"], signals.gradients["last"], strict=True)
    return torch.stack([_cosine(new, old, tuple(new)) for new, old in pairs], dim=1)


def _gradient_cosines(description: RunDescription, signals: Signals) -> Tensor:
    gradients = signals.gradients["next"]
    found = []
    for first, second, blocks in _meetings(description):
        found.append(_cosine(gradients[first], gradients[second], blocks))
    return torch.stack(found, dim=1)


def _step_size(description: RunDescription, signals: Signals) -> Tensor:
    return signals.history.step_size[:, None]


def _shift(description: RunDescription, signals: Signals) -> Tensor:
    if signals.shift is None or not signals.shift.shape[1]:
        raise ValueError("add=['shift']: no schedule is held; it is for control='schedule'")
    return signals.shift


_COLUMNS: dict[str, Callable[[RunDescription, Signals], Tensor]] = {
    "progress": _progress,
    "norm_ratio": _norm_ratio,
    "loss_ratio": _loss_ratio,
    "patience": _patience,
    "extra": _extra,
    "sizes": _sizes,
    "sparsity": _sparsity,
    "gap": _gap,
    "best": _best,
    "gradient_noise": _gradient_noise,
    "gradient_cosines": _gradient_cosines,
    "shift": _shift,
    "step_size": _step_size,
}


def _metric_names(description: RunDescription) -> str:
    return ", ".join(metric.name for metric in description.validation_metrics)


def _block_names(description: RunDescription) -> tuple[str, ...]:
    """All blocks, in the order in which the pairs name them."""
    return tuple(dict.fromkeys(name for pair in description.blocks for name in pair))


def _gaps(description: RunDescription) -> list[tuple[int, int]]:
    """The numbers of the validation metrics and losses that have the same name."""
    found = []
    for number, metric in enumerate(description.validation_metrics):
        if metric.name in description.pairs:
            found.append((number, description.pairs.index(metric.name)))
    return found


def _meetings(description: RunDescription) -> list[tuple[int, int, tuple[str, ...]]]:
    """Every two pairs that share blocks, by number, and these blocks."""
    found = []
    for (first, ours), (second, theirs) in combinations(enumerate(description.blocks), 2):
        shared = tuple(name for name in ours if name in theirs)
        if shared:
            found.append((first, second, shared))
    return found


def _log(values: Tensor) -> Tensor:
    return torch.log(values.abs().clamp(min=TINY, max=1 / TINY))


def _cosine(
    first: Gradient, second: Gradient, blocks: tuple[str, ...]
) -> Float[Tensor, " num_envs"]:
    """Cosine of the angle between two gradients by these blocks; 0 where one of them is 0."""
    ours, theirs = (
        _direction(torch.cat([each[block] for block in blocks], dim=1)) for each in (first, second)
    )
    return (ours * theirs).sum(dim=1).clamp(-1, 1)


def _direction(values: Float[Tensor, "num_envs size"]) -> Float[Tensor, "num_envs size"]:
    """Vectors of length 1; 0 where there is none, or where a number is not finite."""
    largest = values.abs().amax(dim=1, keepdim=True)
    # First by the largest entry, whose square might be no number.
    usable = torch.isfinite(largest) & (largest > 0)
    reduced = torch.where(usable, values / largest, 0.0)
    length = torch.sqrt((reduced * reduced).sum(dim=1, keepdim=True))
    return reduced / length.clamp(min=1)
