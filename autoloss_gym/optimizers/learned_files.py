"""Files of learned optimizers: weights by name, with their version; reading them runs no code."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from autoloss_gym.optimizers.learned_network import hidden_size_of, num_weights, weight_shapes
from autoloss_gym.tools.forms import Array, Maybe, OneOf, Whole
from autoloss_gym.tools.stored import read_arrays, read_value, write_arrays

_KIND = "learned optimizer"
_VERSION = 1
_HIDDEN = Whole(1, 1024)


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Weights of a learned optimizer.

    Args:
        mean: the weights, or the means of their posterior.
        deviation: deviations of the posterior; None where there is none.
    """

    mean: Float32[np.ndarray, " weights"]
    deviation: Float32[np.ndarray, " weights"] | None = None


def write_weights(path: Path, weights: StoredWeights) -> None:
    """Store weights, float32."""
    hidden_size = hidden_size_of(len(weights.mean))
    tree = {"kind": _KIND, "version": _VERSION, "hidden_size": hidden_size}
    arrays = {"mean": _parts(weights.mean, hidden_size)}
    if weights.deviation is not None:
        arrays["deviation"] = _parts(weights.deviation, hidden_size)
    write_arrays(path, {**tree, **arrays})


def read_weights(path: Path) -> StoredWeights:
    """Read what `write_weights` stored.

    Raises:
        ValueError: one line that says what is wrong with the file.
    """
    try:
        hidden_size = read_value(path, "hidden_size", _HIDDEN)
        shapes = weight_shapes(hidden_size)
        form = {name: Array("float32", shape) for name, shape in shapes.items()}
        positive = {name: Array("float32", shape, least=0) for name, shape in shapes.items()}
        own = {"kind": OneOf((_KIND,)), "version": OneOf((_VERSION,)), "hidden_size": _HIDDEN}
        found = read_arrays(path, {**own, "mean": form, "deviation": Maybe(positive)})
    except FileNotFoundError:
        raise ValueError(
            f"there is no file {str(path)!r}: expected the optimizer.safetensors of a run of "
            "--algo learned_optimizer"
        ) from None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} is no file of a learned optimizer ({error}): expected the "
            "optimizer.safetensors of a run of --algo learned_optimizer"
        ) from None
    return StoredWeights(
        _joined(found["mean"]), _joined(found["deviation"]) if "deviation" in found else None
    )


def _parts(row: np.ndarray, hidden_size: int) -> dict[str, np.ndarray]:
    assert len(row) == num_weights(hidden_size)
    parts = {}
    first = 0
    for name, shape in weight_shapes(hidden_size).items():
        last = first + int(np.prod(shape))
        parts[name] = np.asarray(row[first:last], dtype=np.float32).reshape(shape)
        first = last
    return parts


def _joined(parts: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([part.ravel() for part in parts.values()])
