"""The small network that a learned optimizer is: features of each parameter in, its step out."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from autoloss_gym.optimizers.optimizer import OptimizerState
from autoloss_gym.tools.compiling import graph_constant, is_eager_on_cpu

DECAYS = (0.5, 0.9, 0.99, 0.999, 0.9999)
TIMES = (3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e5)  # updates
# Gradient, ratios, parameter, moments, second moments and their inverse roots.
NUM_OWN = 2 + 4 * len(DECAYS)
NUM_FEATURES = NUM_OWN + len(TIMES)
OUTPUT_SCALE = 1e-3
_OUTPUTS = 2
_EPSILON = 1e-12
# The bits of a matrix product depend on where a run begins in memory: at multiples of 64 bytes.
_ALIGNMENT = 16
_ENTRIES_AT_ONCE = 1 << 14  # parameters of all runs, on the CPU: more would leave its caches


def num_weights(hidden_size: int) -> int:
    """Weights of a network with so many hidden units."""
    return (NUM_FEATURES + 1 + _OUTPUTS) * hidden_size + _OUTPUTS


def hidden_size_of(count: int) -> int:
    """Hidden units of a network with so many weights; 0 where no network has so many."""
    units, rest = divmod(count - _OUTPUTS, NUM_FEATURES + 1 + _OUTPUTS)
    return units if rest == 0 and units > 0 else 0


def weight_shapes(hidden_size: int) -> dict[str, tuple[int, ...]]:
    """Parts of a row of weights by name, in order."""
    return {
        "hidden_weight": (NUM_FEATURES, hidden_size),
        "hidden_bias": (hidden_size,),
        "output_weight": (hidden_size, _OUTPUTS),
        "output_bias": (_OUTPUTS,),
    }


def empty_moments(parameters: Float[Tensor, "num_envs size"]) -> OptimizerState:
    """First and second moments before the first step, filled up to whole rows of memory."""
    num_envs, size = parameters.shape
    shape = (num_envs, len(DECAYS), size + -size % _ALIGNMENT)
    return {
        "first_moments": parameters.new_zeros(shape),
        "second_moments": parameters.new_zeros(shape),
    }


def proposals(
    parameters: Float[Tensor, "num_envs size"],
    gradients: Float[Tensor, "num_envs size"],
    state: OptimizerState,
    times: Float[Tensor, "num_envs times"],
    sizes: tuple[int, ...],
) -> Float[Tensor, "num_envs size"]:
    """0.001 · d · exp(0.001 · m) of every parameter, with d and m the outputs of the network.

    Args:
        parameters, gradients: of a block.
        state: its moments, in which these gradients already are, and the weights of each run.
        times: see `time_features`.
        sizes: of the tensors of the block, over each of which features are scaled.
    """
    num_envs, size = parameters.shape
    inputs = (
        parameters, gradients, state["first_moments"], state["second_moments"], state["weights"],
        times,
    )  # fmt: skip
    runs = num_envs
    if is_eager_on_cpu(parameters) and not torch.is_grad_enabled():
        runs = max(1, _ENTRIES_AT_ONCE // size)
    chunks = zip(*(each.split(runs) for each in inputs), strict=True)
    return torch.cat([_proposals_at_once(sizes, *chunk) for chunk in chunks])


def _proposals_at_once(
    sizes: tuple[int, ...],
    parameters: Tensor,
    gradients: Tensor,
    first: Tensor,
    second: Tensor,
    weights: Tensor,
    times: Tensor,
) -> Tensor:
    size = parameters.shape[1]
    filled = first.shape[2]
    rows = own_features(pad(parameters, (0, filled - size)), pad(gradients, (0, filled - size)),
                        first, second)  # fmt: skip
    if filled > size:
        sizes = (*sizes, filled - size)
    d, m = _outputs(_scaled(rows, sizes), times, weights)
    return (d * torch.exp(m * OUTPUT_SCALE) * OUTPUT_SCALE)[:, :size]


def own_features(
    parameters: Float[Tensor, "num_envs size"],
    gradients: Float[Tensor, "num_envs size"],
    first: Float[Tensor, "num_envs decays size"],
    second: Float[Tensor, "num_envs decays size"],
) -> Float[Tensor, "num_envs features size"]:
    """The features that differ between parameters, before they are scaled."""
    # Not rsqrt, whose vector and scalar paths may differ.
    inverse_roots = 1 / torch.sqrt(second + _EPSILON)
    ratios = first * inverse_roots
    return torch.cat(
        [gradients[:, None], ratios, parameters[:, None], first, second, inverse_roots], dim=1
    )


def _scaled(
    features: Float[Tensor, "num_envs features size"], sizes: tuple[int, ...]
) -> Float[Tensor, "num_envs features size"]:
    """Each feature divided by the root of its mean square over the tensor."""
    parts = []
    for part in features.split(sizes, dim=2):
        mean_square = (part * part).mean(dim=2, keepdim=True)
        parts.append(part * (1 / torch.sqrt(mean_square + _EPSILON)))
    return torch.cat(parts, dim=2)


def time_features(
    steps: Int64[Tensor, " num_envs"], dtype: torch.dtype
) -> Float[Tensor, "num_envs times"]:
    """tanh(step / τ − 1), with the updates before this one."""
    # In float64, of which rounding leaves the same bits whatever path tanh took.
    scales = _times_on(steps.device)
    return torch.tanh(steps[:, None].to(torch.float64) / scales - 1).to(dtype)


@graph_constant()
def _times_on(device: torch.device) -> Float[Tensor, " times"]:
    return torch.tensor(TIMES, dtype=torch.float64, device=device)


def _outputs(
    features: Float[Tensor, "num_envs features size"],
    times: Float[Tensor, "num_envs times"],
    weights: Float[Tensor, "num_envs weights"],
) -> tuple[Tensor, Tensor]:
    """d and m, (num_envs, size) each."""
    parts = unpacked(weights)
    own = parts["hidden_weight"][:, :NUM_OWN].transpose(1, 2).contiguous()
    # What the times bring is the same for all parameters of a run.
    shift = (times[:, :, None] * parts["hidden_weight"][:, NUM_OWN:]).sum(dim=1)
    hidden = torch.baddbmm((shift + parts["hidden_bias"])[:, :, None], own, features)
    output_weight = parts["output_weight"].transpose(1, 2).contiguous()
    outputs = torch.baddbmm(parts["output_bias"][:, :, None], output_weight, torch.relu(hidden))
    return outputs[:, 0], outputs[:, 1]


def unpacked(weights: Float[Tensor, "num_envs weights"]) -> dict[str, Tensor]:
    """The parts of each row of weights, (num_envs, …), by name."""
    shapes = weight_shapes(hidden_size_of(weights.shape[1]))
    counts = [torch.Size(shape).numel() for shape in shapes.values()]
    parts = weights.split(counts, dim=1)
    named = zip(shapes.items(), parts, strict=True)
    return {name: part.reshape(-1, *shape) for (name, shape), part in named}
