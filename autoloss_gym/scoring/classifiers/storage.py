"""Files of trained classifiers; reading one runs no code."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autoloss_gym.tools.files import replacing

CACHE_VARIABLE = "AUTOLOSS_GYM_CACHE"
Layers = tuple[Tensor, ...]


def cache_folder() -> Path:
    """The folder that AUTOLOSS_GYM_CACHE names, else the user's cache folder of this package."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return user_cache_path("autoloss_gym", appauthor=False)


def read(
    path: Path, weight_shapes: Sequence[tuple[int, ...]]
) -> tuple[Layers, Layers, float] | None:
    """Read weights, biases and accuracy; None where there is no file that can be used."""
    layers = range(len(weight_shapes))
    try:
        with safe_open(path, framework="pt") as file:
            accuracy = float((file.metadata() or {})["accuracy"])
            weights = tuple(file.get_tensor(f"weight_{index}") for index in layers)
            biases = tuple(file.get_tensor(f"bias_{index}") for index in layers)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None

    bias_shapes = [(num_outputs(shape),) for shape in weight_shapes]
    usable = (
        [tuple(weight.shape) for weight in weights] == list(weight_shapes)
        and [tuple(bias.shape) for bias in biases] == bias_shapes
        and all(_is_finite_float32(tensor) for tensor in (*weights, *biases))
        and 0 <= accuracy <= 1
    )
    return (weights, biases, accuracy) if usable else None


def _is_finite_float32(tensor: Tensor) -> bool:
    return tensor.dtype == torch.float32 and bool(torch.isfinite(tensor).all())


def num_outputs(weight_shape: Sequence[int]) -> int:
    """Of a dense layer (inputs, outputs) or of a convolution (outputs, inputs, height, width)."""
    is_dense = len(weight_shape) == 2
    return weight_shape[1] if is_dense else weight_shape[0]


def write(path: Path, weights: Layers, biases: Layers, accuracy: float) -> None:
    """Write a file whole or not at all, also where several processes do it at once.

    Where the folder cannot be written, a warning says so.
    """
    tensors = {f"weight_{index}": weight for index, weight in enumerate(weights)}
    tensors |= {f"bias_{index}": bias for index, bias in enumerate(biases)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"accuracy": repr(accuracy)})
    except (OSError, SafetensorError) as error:
        warnings.warn(
            f"the classifier is not kept: {error}; "
            f"set {CACHE_VARIABLE} to a folder that can be written",
            stacklevel=2,
        )
