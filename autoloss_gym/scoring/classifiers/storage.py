"""Files of trained classifiers; reading one runs no code."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autoloss_gym.tools.files import replacing

CACHE_VARIABLE = "AUTOLOSS_GYM_CACHE"
Layers = tuple[Tensor, ...]


def read(
    path: Path, weight_shapes: Sequence[tuple[int, ...]]
) -> tuple[Layers, Layers, float] | None:
    """Weights, biases and accuracy in the file, or None where there is none that can be used."""
    layers = range(len(weight_shapes))
    try:
        with safe_open(path, framework="pt") as file:
            accuracy = float((file.metadata() or {})["accuracy"])
            weights = tuple(file.get_tensor(f"weight_{index}") for index in layers)
            biases = tuple(file.get_tensor(f"bias_{index}") for index in layers)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    finite = all(
        each.dtype == torch.float32 and bool(torch.isfinite(each).all())
        for each in (*weights, *biases)
    )
    shapes = [tuple(each.shape) for each in (*weights, *biases)]
    fits = shapes == [*weight_shapes, *((num_outputs(shape),) for shape in weight_shapes)]
    return (weights, biases, accuracy) if fits and finite and 0 <= accuracy <= 1 else None


def num_outputs(weight_shape: Sequence[int]) -> int:
    """Of a dense layer (inputs, outputs) or of a convolution (outputs, inputs, height, width)."""
    return weight_shape[1] if len(weight_shape) == 2 else weight_shape[0]


def write(path: Path, weights: Layers, biases: Layers, accuracy: float) -> None:
    """Whole or not at all, also where several processes do it at once."""
    tensors = {f"weight_{index}": weight for index, weight in enumerate(weights)}
    tensors |= {f"bias_{index}": bias for index, bias in enumerate(biases)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"accuracy": repr(accuracy)})
    except (OSError, SafetensorError) as error:
        warnings.warn(
            f"the classifier is not kept: {error}; set {CACHE_VARIABLE} to a folder that can be written",
            stacklevel=2,
        )
