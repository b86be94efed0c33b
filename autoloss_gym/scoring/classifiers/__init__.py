"""Classifiers of images, trained at first use and kept in a file: what judges reconstructed and
generated images.

A classifier has seen the controller's training part of its data alone (see
`datasets.five_way_partition`), so that every image on which a run is validated or scored is new to
it.
"""

import functools
import logging
import os
from pathlib import Path
from typing import Any

import torch

from autoloss_gym.data.images import data_folder, load_images
from autoloss_gym.scoring.classifiers import storage, training
from autoloss_gym.scoring.classifiers.networks import (
    KINDS,
    Classifier,
    ConvolutionalNetwork,
    Perceptron,
)
from autoloss_gym.scoring.classifiers.storage import CACHE_VARIABLE
from autoloss_gym.tools.names import unknown

__all__ = ["CACHE_VARIABLE", "Classifier", "ConvolutionalNetwork", "Perceptron", "load_classifier"]


def load_classifier(
    dataset: str,
    data_dir: str | None = None,
    size: int = 0,
    device: str = "cpu",
    kind: str = "perceptron",
) -> Classifier:
    """The classifier of a set of images, trained now (seconds to two minutes) if the cache folder
    does not hold it yet.

    The cache folder is what the environment variable AUTOLOSS_GYM_CACHE names, by default
    ~/.cache/autoloss_gym. Its file is bound to the content of the images and to the recipe; one
    that cannot be read is made anew. Reading it runs no code.

    Args:
        dataset: a set of images with labels (see `images.load_images`, as for `data_dir` and
            `size`).
        data_dir: the data folder.
        size: height and width that the images are resized to; 0 leaves them.
        device: where the weights shall lie.
        kind: "perceptron", or "convolutional", which is right more often and takes longer to train
            and to ask.

    Raises:
        ValueError: the images have no labels or cannot be loaded, or there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(unknown("kind", kind, KINDS))
    return KINDS[kind](*_fields_on(dataset, data_dir, size, device, kind))


@torch.compiler.assume_constant_result
def _fields_on(
    dataset: str, data_dir: str | None, size: int, device: str, kind: str
) -> tuple[Any, ...]:
    """The fields of the classifier: what a compiled program can hold."""
    folder = Path(
        os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "autoloss_gym"
    ).expanduser()
    classifier = _load_classifier(dataset, data_folder(data_dir), size, device, kind, folder)
    return classifier.weights, classifier.biases, classifier.image_shape, classifier.accuracy


@functools.lru_cache(maxsize=8)
def _load_classifier(
    dataset: str, data_dir: str | None, size: int, device: str, kind: str, folder: Path
) -> Classifier:
    images = load_images(dataset, data_dir, size)
    if images.labels is None:
        raise ValueError(
            f"dataset={dataset!r}: a classifier needs labels; give each image its class"
        )
    path = folder / f"classifier_{training.digest(images, kind)}.safetensors"
    network, shape = KINDS[kind], images.images.shape[1:]
    parts = storage.read(path, training.weight_shapes(images, kind))
    if parts is None:
        logging.getLogger(__name__).info(
            "training a %s classifier of %s, once for all", kind, dataset
        )
        weights, biases = training.trained(images, kind)
        parts = weights, biases, training.accuracy(network(weights, biases, shape), images)
        storage.write(path, *parts)
    weights, biases = (tuple(each.to(device) for each in part) for part in parts[:2])
    return network(weights, biases, shape, parts[2])
