"""Training of classifiers: cross-entropy and Adam, on the CPU, with draws from a fixed key."""

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
from autoloss_gym.data.image_files import Images
from autoloss_gym.data.image_source import ImageSource
from autoloss_gym.data.partition import partition_on
from autoloss_gym.scoring.classifiers.networks import (
    KINDS,
    Classifier,
    Perceptron,
    channels_first,
    pooled,
)
from autoloss_gym.scoring.classifiers.storage import Layers, num_outputs

_KEY = 20120417  # any fixed number; another one would make other classifiers
_EPSILON = 1e-5  # added to the variances of a batch


@dataclass(frozen=True)
class Recipe:
    """Sizes and training of a kind of classifier.

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
    "perceptron": Recipe(
        version=1,
        sizes=(256, 64),
        steps=2000,
        batch_size=64,
        learning_rate=2e-3,
    ),
    "convolutional": Recipe(
        version="convolutional 1",
        sizes=(16, 32, 64, 64),
        steps=1500,
        batch_size=64,
        learning_rate=6e-3,
    ),
}


def digest(images: Images, kind: str) -> str:
    """A name that tells a data set and a recipe from others."""
    recipe = RECIPES[kind]
    numbers = (
        recipe.version,
        recipe.sizes,
        recipe.steps,
        recipe.batch_size,
        recipe.learning_rate,
        _KEY,
        images.images.shape,
        images.num_test,
    )
    found = hashlib.blake2b(repr(numbers).encode(), digest_size=12)
    for array in (images.images, images.labels):
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def weight_shapes(images: Images, kind: str) -> list[tuple[int, ...]]:
    """Shapes of a classifier's weights."""
    assert images.labels is not None
    num_classes = int(images.labels.max()) + 1
    return KINDS[kind].weight_shapes(RECIPES[kind].sizes, images.images.shape[1:], num_classes)


def trained(source: ImageSource, kind: str) -> tuple[Layers, Layers]:
    """Weights and biases, fitted to the controller's training part alone."""
    weights, biases = _initial(weight_shapes(source.load(), kind))
    fit = _fit_perceptron if kind == "perceptron" else _fit_convolutional
    weights, biases = fit(weights, biases, source, RECIPES[kind])
    return tuple(each.detach() for each in weights), tuple(each.detach() for each in biases)


def accuracy(classifier: Classifier, source: ImageSource) -> float:
    """Share of the test part that is recognised."""
    labels = source.labels_on("cpu")
    rows = _part(source, "test")[None]
    with torch.no_grad():
        recognised = [
            classifier.recognises(source.gather(part), labels[part])
            for part in rows.split(1000, dim=1)
        ]
    return float(torch.cat(recognised, dim=1).mean())


def _key() -> Int64[Tensor, "1"]:
    return torch.tensor([_KEY], dtype=torch.int64, device="cpu")


def _part(source: ImageSource, name: str) -> Int64[Tensor, " rows"]:
    """The rows of a part of the five-way partition."""
    images = source.load()
    return partition_on(len(images.images), images.num_test, "cpu")[name]


def _initial(shapes: Sequence[tuple[int, ...]]) -> tuple[list[Tensor], list[Tensor]]:
    """Normal weights of variance 2 / inputs (He et al. 2015), biases 0."""
    weights = []
    biases = []
    for index, shape in enumerate(shapes):
        key = random.fold_in(_key(), f"layer {index}")
        outputs = num_outputs(shape)
        inputs = prod(shape) // outputs
        weight = random.normal(key, shape, (2 / inputs) ** 0.5)[0]
        weights.append(weight.requires_grad_())
        biases.append(torch.zeros(outputs, dtype=torch.float32, device="cpu").requires_grad_())
    return weights, biases


def _fit(
    tensors: list[Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    source: ImageSource,
    recipe: Recipe,
) -> None:
    """Minimise a function of row numbers (batch,) and of the key (1,) of a step, in place."""
    key = _key()
    optimizer = torch.optim.Adam(tensors)
    training = _part(source, "controller_train")
    for step in range(recipe.steps):
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * (1 - step / recipe.steps)
        step_key = random.fold_in(key, step)
        rows = training[random.integers(step_key, (recipe.batch_size,), len(training))[0]]
        with torch.enable_grad():
            optimizer.zero_grad()
            loss(rows, step_key).backward()
        optimizer.step()


def _fit_perceptron(
    weights: list[Tensor], biases: list[Tensor], source: ImageSource, recipe: Recipe
) -> tuple[list[Tensor], list[Tensor]]:
    labels = source.labels_on("cpu")
    network = Perceptron(tuple(weights), tuple(biases), source.image_shape)

    def loss(rows: Tensor, key: Tensor) -> Tensor:
        logits = network.logits(source.gather(rows[None]))[0]
        return cross_entropy(logits, labels[rows])

    _fit([*weights, *biases], loss, source, recipe)
    return weights, biases


def _fit_convolutional(
    weights: list[Tensor], biases: list[Tensor], source: ImageSource, recipe: Recipe
) -> tuple[list[Tensor], list[Tensor]]:
    """Fit with batch normalisation (Ioffe and Szegedy 2015), and fold it into the layers."""
    labels = source.labels_on("cpu")
    means = [torch.zeros_like(bias) for bias in biases[:-1]]
    variances = [torch.ones_like(bias) for bias in biases[:-1]]
    normalised_layers = list(zip(weights[:-1], biases[:-1], means, variances, strict=True))

    def loss(rows: Tensor, key: Tensor) -> Tensor:
        images = source.gather(rows[None])[0].unflatten(1, source.image_shape)
        values = channels_first(moved(images, key))
        for weight, bias, mean, variance in normalised_layers:
            is_convolution = weight.ndim == 4
            if is_convolution:
                values = conv2d(values, weight, padding=1)
            else:
                values = values.flatten(1) @ weight
            values = batch_norm(values, mean, variance, None, bias, training=True, eps=_EPSILON)
            values = pooled(values) if is_convolution else torch.relu(values)
        return cross_entropy(values @ weights[-1] + biases[-1], labels[rows])

    _fit([*weights, *biases], loss, source, recipe)
    return _folded(weights, biases, means, variances)


def _folded(
    weights: list[Tensor], biases: list[Tensor], means: list[Tensor], variances: list[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Layers without normalisation that compute what normalised ones do with these statistics.

    The last layer is not normalised and stays.
    """
    folded_weights = []
    folded_biases = []
    for weight, bias, mean, variance in zip(
        weights[:-1], biases[:-1], means, variances, strict=True
    ):
        scale = 1 / torch.sqrt(variance + _EPSILON)
        # Outputs come first in the weights of a convolution, last in those of a dense layer.
        by_output = scale[:, None, None, None] if weight.ndim == 4 else scale
        folded_weights.append(weight * by_output)
        folded_biases.append(bias - mean * scale)
    return [*folded_weights, weights[-1]], [*folded_biases, biases[-1]]


def moved(
    images: Float[Tensor, "batch height width channels"], key: Int64[Tensor, "1"]
) -> Float[Tensor, "batch height width channels"]:
    """Each image shifted at random by up to a tenth of its size, its edge repeated.

    Coloured images are mirrored half the time; grey ones may be letters or digits, which are not.
    """
    count, height, width, channels = images.shape
    rows = _shifted(random.fold_in(key, "vertical"), count, height)
    columns = _shifted(random.fold_in(key, "horizontal"), count, width)
    if channels == 3:
        coins = random.integers(random.fold_in(key, "mirror"), (count, 1), 2)[0]
        columns = torch.where(coins == 1, columns.flip(1), columns)
    numbers = torch.arange(count, dtype=torch.int64, device="cpu")
    return images[numbers[:, None, None], rows[:, :, None], columns[:, None, :]]


def _shifted(key: Int64[Tensor, "1"], count: int, length: int) -> Int64[Tensor, "count length"]:
    """Indices 0 … length - 1, shifted by a number drawn for each image."""
    reach = max(1, length // 10)
    shifts = random.integers(key, (count, 1), 2 * reach + 1)[0] - reach
    places = torch.arange(length, dtype=torch.int64, device="cpu")
    return (places + shifts).clamp(0, length - 1)
