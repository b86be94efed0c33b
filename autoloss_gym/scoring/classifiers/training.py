"""How classifiers are trained: cross-entropy and Adam, on the CPU, with draws from a fixed key."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, cross_entropy

from autoloss_gym import random
from autoloss_gym.data.images import Images
from autoloss_gym.data.partition import five_way_partition, gather
from autoloss_gym.scoring.classifiers.networks import (
    KINDS,
    Classifier,
    Perceptron,
    channels_first,
    pooled,
)
from autoloss_gym.scoring.classifiers.storage import num_outputs

_KEY = 20120417
_EPSILON = 1e-5  # added to the variances of a batch


@dataclass(frozen=True)
class Recipe:
    """How a kind of classifier is trained.

    Args:
        version: a change of the code that trains needs a new one, or old files would be taken for
            new ones.
        sizes: of the layers, see `weight_shapes` of the network.
        steps: of Adam, its learning rate falling linearly to 0.
        batch_size: images of a step, drawn with replacement.
        learning_rate: of the first step.
    """

    version: int | str
    sizes: tuple[int, ...]
    steps: int
    batch_size: int
    learning_rate: float


RECIPES = {
    "perceptron": Recipe(1, (256, 64), steps=2000, batch_size=64, learning_rate=2e-3),
    "convolutional": Recipe(
        "convolutional 1", (16, 32, 64, 64), steps=1500, batch_size=64, learning_rate=6e-3
    ),
}


def digest(images: Images, kind: str) -> str:
    """What tells a data set and recipe from others."""
    recipe = RECIPES[kind]
    numbers = (
        recipe.version,
        recipe.sizes,
        recipe.steps,
        recipe.batch_size,
        recipe.learning_rate,
        _KEY,
    )
    found = hashlib.blake2b(
        repr((*numbers, images.images.shape, images.num_test)).encode(), digest_size=12
    )
    for array in (images.images, images.labels):
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def weight_shapes(images: Images, kind: str) -> list[tuple[int, ...]]:
    """Shapes of a classifier's weights."""
    assert images.labels is not None
    return KINDS[kind].weight_shapes(
        RECIPES[kind].sizes, images.images.shape[1:], int(images.labels.max()) + 1
    )


def trained(images: Images, kind: str) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Weights and biases, fitted to the controller's training part alone."""
    weights, biases = _initial(weight_shapes(images, kind))
    fit = _fit_perceptron if kind == "perceptron" else _fit_convolutional
    weights, biases = fit(weights, biases, images, RECIPES[kind])
    return tuple(each.detach() for each in weights), tuple(each.detach() for each in biases)


def accuracy(classifier: Classifier, images: Images) -> float:
    """Share of the test part that is recognised."""
    pixels, labels = torch.from_numpy(images.images).flatten(1), torch.from_numpy(images.labels)
    rows = torch.from_numpy(five_way_partition(len(pixels), images.num_test)["test"])[None]
    with torch.no_grad():
        recognised = [
            classifier.recognises(gather(pixels, part), labels[part])
            for part in rows.split(1000, dim=1)
        ]
    return float(torch.cat(recognised, dim=1).mean())


def _initial(shapes: Sequence[tuple[int, ...]]) -> tuple[list[Tensor], list[Tensor]]:
    """Normal weights of variance 2 / inputs (He et al. 2015), biases 0."""
    weights = []
    for index, shape in enumerate(shapes):
        key, inputs = (
            random.fold_in(torch.tensor([_KEY]), f"layer {index}"),
            prod(shape) // num_outputs(shape),
        )
        weights.append(random.normal(key, shape, (2 / inputs) ** 0.5)[0].requires_grad_())
    return weights, [torch.zeros(num_outputs(shape)).requires_grad_() for shape in shapes]


def _fit(
    tensors: list[Tensor], loss: Callable[[Tensor, Tensor], Tensor], images: Images, recipe: Recipe
) -> None:
    """Minimise `loss`, a function of row numbers (batch,) and of the key (1,) of a step, in place."""
    key, optimizer = torch.tensor([_KEY]), torch.optim.Adam(tensors)
    training = torch.from_numpy(
        five_way_partition(len(images.images), images.num_test)["controller_train"]
    )
    for step in range(recipe.steps):
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * (1 - step / recipe.steps)
        drawn = random.fold_in(key, step)
        rows = training[random.integers(drawn, (recipe.batch_size,), len(training))[0]]
        with torch.enable_grad():
            optimizer.zero_grad()
            loss(rows, drawn).backward()
        optimizer.step()


def _fit_perceptron(
    weights: list[Tensor], biases: list[Tensor], images: Images, recipe: Recipe
) -> tuple[list[Tensor], list[Tensor]]:
    pixels, labels = torch.from_numpy(images.images).flatten(1), torch.from_numpy(images.labels)
    network = Perceptron(tuple(weights), tuple(biases), images.images.shape[1:])

    def loss(rows: Tensor, key: Tensor) -> Tensor:
        return cross_entropy(network.logits(gather(pixels, rows[None]))[0], labels[rows])

    _fit([*weights, *biases], loss, images, recipe)
    return weights, biases


def _fit_convolutional(
    weights: list[Tensor], biases: list[Tensor], images: Images, recipe: Recipe
) -> tuple[list[Tensor], list[Tensor]]:
    """With batch normalisation (Ioffe and Szegedy 2015); its means and variances are in the end
    part of weights and biases.
    """
    pixels, labels = torch.from_numpy(images.images).flatten(1), torch.from_numpy(images.labels)
    means, variances = (
        [torch.zeros_like(each) for each in biases[:-1]],
        [torch.ones_like(each) for each in biases[:-1]],
    )

    def loss(rows: Tensor, key: Tensor) -> Tensor:
        values = channels_first(
            moved(gather(pixels, rows[None])[0].unflatten(1, images.images.shape[1:]), key)
        )
        for weight, bias, mean, variance in zip(weights, biases, means, variances, strict=False):
            convolution = weight.ndim == 4
            values = (
                conv2d(values, weight, padding=1) if convolution else values.flatten(1) @ weight
            )
            values = batch_norm(values, mean, variance, None, bias, training=True, eps=_EPSILON)
            values = pooled(values) if convolution else torch.relu(values)
        return cross_entropy(values @ weights[-1] + biases[-1], labels[rows])

    _fit([*weights, *biases], loss, images, recipe)
    return _folded(weights, biases, means, variances)


def _folded(
    weights: list[Tensor], biases: list[Tensor], means: list[Tensor], variances: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """The layers that give what normalised layers give with these means and variances."""
    scales = [1 / torch.sqrt(variance + _EPSILON) for variance in variances]
    scaled = [
        w * (s[:, None, None, None] if w.ndim == 4 else s)
        for w, s in zip(weights, scales, strict=False)
    ]
    shifted = [b - mean * s for b, mean, s in zip(biases, means, scales, strict=False)]
    return [*scaled, weights[-1]], [*shifted, biases[-1]]


def moved(
    images: Float[Tensor, "batch height width channels"], key: Int64[Tensor, "1"]
) -> Float[Tensor, "batch height width channels"]:
    """Each image shifted at random by up to a tenth of its size, its edge repeated; coloured ones
    mirrored half the time.
    """
    drawn = [random.fold_in(key, name) for name in ("vertical", "horizontal", "mirror")]
    count, height, width, channels = images.shape
    rows, columns = (
        _shifted(key, count, length) for key, length in zip(drawn, (height, width), strict=False)
    )
    if channels == 3:  # not where they may be letters or digits
        mirrored = random.integers(drawn[2], (count, 1), 2)[0] == 1
        columns = torch.where(mirrored, columns.flip(1), columns)
    return images[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _shifted(key: Int64[Tensor, "1"], count: int, length: int) -> Int64[Tensor, "count length"]:
    """Indices 0 … length - 1, shifted by a number drawn for each image."""
    reach = max(1, length // 10)
    shifts = random.integers(key, (count, 1), 2 * reach + 1)[0] - reach
    return (torch.arange(length) + shifts).clamp(0, length - 1)
