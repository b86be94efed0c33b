"""Classifiers of images, trained at first use and kept in a file: what judges reconstructed and generated images.

A classifier has seen the controller's training part of its data alone (see `datasets.five_way_partition`), so that every
image on which a run is validated or scored is new to it.
"""

import functools
import hashlib
import logging
import os
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.datasets import five_way_partition, gather
from autoloss_gym.images import Images, data_folder, load_images
from autoloss_gym.linear import affine

CACHE_VARIABLE = "AUTOLOSS_GYM_CACHE"
# The recipe; a change of it needs a new version, or old files would be taken for new ones.
_VERSION = 1
_HIDDEN_SIZES = (256, 64)
_STEPS, _BATCH, _LEARNING_RATE = 2000, 64, 2e-3
_KEY = 20120417


@dataclass(frozen=True, eq=False)
class Classifier:
    """A ReLU perceptron, the same for all runs.

    Args:
        weights: of each layer, (inputs, outputs), float32.
        biases: of each layer, (outputs,).
        accuracy: share of the test part's images that it classifies correctly.
    """

    weights: tuple[Float[Tensor, "_ _"], ...]
    biases: tuple[Float[Tensor, " _"], ...]
    accuracy: float = 0.0

    def features(self, images: Float[Tensor, "num_envs rows pixels"]) -> Float[Tensor, "num_envs rows features"]:
        """Activations of the last hidden layer."""
        for index in range(len(self.weights) - 1):
            images = torch.relu(self._layer(index, images))
        return images

    def logits(self, images: Float[Tensor, "num_envs rows pixels"]) -> Float[Tensor, "num_envs rows classes"]:
        return self._layer(len(self.weights) - 1, self.features(images))

    def probabilities(self, images: Float[Tensor, "num_envs rows pixels"]) -> Float[Tensor, "num_envs rows classes"]:
        return torch.softmax(self.logits(images), dim=2)

    def recognises(
        self, images: Float[Tensor, "num_envs rows pixels"], labels: Int64[Tensor, "num_envs rows"]
    ) -> Float[Tensor, "num_envs rows"]:
        """1 where an image is taken for its class, else 0."""
        return (self.logits(images).argmax(dim=2) == labels).to(torch.float32)

    def _layer(self, index: int, values: Tensor) -> Tensor:
        # The same weights are expanded to every run: one product for all rows would have bits that depend on their number.
        weight, bias = self.weights[index], self.biases[index]
        return affine(values, weight.expand(len(values), -1, -1), bias.expand(len(values), -1))


def load_classifier(dataset: str, data_dir: str | None = None, size: int = 0, device: str = "cpu") -> Classifier:
    """The classifier of a set of images, trained now (seconds) if the cache folder does not hold it yet.

    The cache folder is what the environment variable AUTOLOSS_GYM_CACHE names, by default ~/.cache/autoloss_gym. Its file is
    bound to the content of the images and to the recipe; one that cannot be read is made anew. Reading it runs no code.

    Raises:
        ValueError: the images have no labels, or cannot be loaded (see `images.load_images`).
    """
    return Classifier(*_layers_on(dataset, data_dir, size, device))


@torch.compiler.assume_constant_result
def _layers_on(dataset: str, data_dir: str | None, size: int, device: str) -> tuple[Any, ...]:
    """The fields of the classifier: what a compiled program can hold."""
    folder = Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "autoloss_gym").expanduser()
    classifier = _load_classifier(dataset, data_folder(data_dir), size, device, folder)
    return classifier.weights, classifier.biases, classifier.accuracy


@functools.lru_cache(maxsize=8)
def _load_classifier(dataset: str, data_dir: str | None, size: int, device: str, folder: Path) -> Classifier:
    images = load_images(dataset, data_dir, size)
    if images.labels is None:
        raise ValueError(f"dataset={dataset!r}: a classifier needs labels; give each image its class")
    path = folder / f"classifier_{_digest(images)}.safetensors"
    classifier = _read(path, images)
    if classifier is None:
        logging.getLogger(__name__).info("training a classifier of %s, once for all", dataset)
        classifier = _trained(images)
        _write(path, classifier)
    weights, biases = (tuple(each.to(device) for each in part) for part in (classifier.weights, classifier.biases))
    return Classifier(weights, biases, classifier.accuracy)


def _digest(images: Images) -> str:
    """What tells this data set and recipe from others."""
    recipe = (_VERSION, _HIDDEN_SIZES, _STEPS, _BATCH, _LEARNING_RATE, _KEY, images.images.shape, images.num_test)
    digest = hashlib.blake2b(repr(recipe).encode(), digest_size=12)
    for array in (images.images, images.labels):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _sizes(images: Images) -> tuple[int, ...]:
    assert images.labels is not None
    return images.num_pixels, *_HIDDEN_SIZES, int(images.labels.max()) + 1


def _trained(images: Images) -> Classifier:
    """Cross-entropy, Adam with a learning rate that falls linearly to 0, mini-batches drawn from a fixed key; on the CPU."""
    pixels, labels = torch.from_numpy(images.images).flatten(1), torch.from_numpy(images.labels)
    parts = five_way_partition(len(pixels), images.num_test)
    training, test = (torch.from_numpy(parts[name])[None] for name in ("controller_train", "test"))
    classifier, key = _initial(_sizes(images)), torch.tensor([_KEY])
    optimizer = torch.optim.Adam([*classifier.weights, *classifier.biases])
    for step in range(_STEPS):
        optimizer.param_groups[0]["lr"] = _LEARNING_RATE * (1 - step / _STEPS)
        drawn = random.integers(random.fold_in(key, step), (_BATCH,), training.shape[1])
        rows = training.gather(1, drawn)
        with torch.enable_grad():
            loss = torch.nn.functional.cross_entropy(classifier.logits(gather(pixels, rows))[0], labels[rows[0]])
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
    weights, biases = (tuple(each.detach() for each in part) for part in (classifier.weights, classifier.biases))
    with torch.no_grad():
        recognised = [
            Classifier(weights, biases).recognises(gather(pixels, rows), labels[rows]) for rows in test.split(1000, 1)
        ]
    return Classifier(weights, biases, float(torch.cat(recognised, dim=1).mean()))


def _initial(sizes: tuple[int, ...]) -> Classifier:
    """Normal weights of variance 2 / inputs (He et al. 2015), biases 0."""
    keys = [random.fold_in(torch.tensor([_KEY]), f"layer {index}") for index in range(len(sizes) - 1)]
    layers = list(zip(keys, pairwise(sizes), strict=True))
    weights = tuple(random.normal(key, (size, n), (2 / size) ** 0.5)[0].requires_grad_() for key, (size, n) in layers)
    return Classifier(weights, tuple(torch.zeros(size).requires_grad_() for size in sizes[1:]))


def _read(path: Path, images: Images) -> Classifier | None:
    """What the file holds, or None where there is none that can be used."""
    sizes = _sizes(images)
    try:
        with safe_open(path, framework="pt") as file:
            accuracy = float((file.metadata() or {})["accuracy"])
            weights = tuple(file.get_tensor(f"weight_{index}") for index in range(len(sizes) - 1))
            biases = tuple(file.get_tensor(f"bias_{index}") for index in range(len(sizes) - 1))
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    shapes = [tuple(each.shape) for each in (*weights, *biases)]
    finite = all(each.dtype == torch.float32 and bool(torch.isfinite(each).all()) for each in (*weights, *biases))
    fits = shapes == [*pairwise(sizes), *((size,) for size in sizes[1:])]
    return Classifier(weights, biases, accuracy) if fits and finite and 0 <= accuracy <= 1 else None


def _write(path: Path, classifier: Classifier) -> None:
    """Whole or not at all, also where several processes do it at once."""
    tensors = {f"weight_{index}": weight for index, weight in enumerate(classifier.weights)}
    tensors |= {f"bias_{index}": bias for index, bias in enumerate(classifier.biases)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, temporary, metadata={"accuracy": repr(classifier.accuracy)})
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        warnings.warn(
            f"the classifier is not kept: {error}; set {CACHE_VARIABLE} to a folder that can be written", stacklevel=2
        )
