"""Files of trained classifiers; reading one runs no code."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from autoloss_gym.tools.cache import CACHE_VARIABLE
from autoloss_gym.tools.forms import Array, Real
from autoloss_gym.tools.stored import read_arrays, write_arrays

Layers = tuple[Tensor, ...]


def read(
    path: Path, weight_shapes: Sequence[tuple[int, ...]]
) -> tuple[Layers, Layers, float] | None:
    """Read weights, biases and accuracy; None where there is no file that can be used."""
    form = {
        "accuracy": Real(0, 1),
        "weights": [Array("float32", shape) for shape in weight_shapes],
        "biases": [Array("float32", (num_outputs(shape),)) for shape in weight_shapes],
    }
    try:
        found = read_arrays(path, form)
    except (OSError, ValueError):
        return None
    weights = tuple(torch.from_numpy(array) for array in found["weights"])
    biases = tuple(torch.from_numpy(array) for array in found["biases"])
    return weights, biases, found["accuracy"]


def num_outputs(weight_shape: Sequence[int]) -> int:
    """Of a dense layer (inputs, outputs) or of a convolution (outputs, inputs, height, width)."""
    is_dense = len(weight_shape) == 2
    return weight_shape[1] if is_dense else weight_shape[0]


def write(path: Path, weights: Layers, biases: Layers, accuracy: float) -> None:
    """Write a file whole or not at all, also where several processes do it at once.

    Where the folder cannot be written, a warning says so.
    """
    tree = {
        "accuracy": accuracy,
        "weights": [weight.numpy() for weight in weights],
        "biases": [bias.numpy() for bias in biases],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, tree)
    except OSError as error:
        warnings.warn(
            f"the classifier is not kept: {error}; "
            f"set {CACHE_VARIABLE} to a folder that can be written",
            stacklevel=2,
        )
