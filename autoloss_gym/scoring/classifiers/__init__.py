"""Classifiers of images, trained at first use and kept in a file.

They judge reconstructed and generated images. A classifier has seen the controller's training part
of its data alone (see `autoloss_gym.data.partition.five_way_partition`), so that every image on
which a run is validated or scored is new to it.
"""

import logging

from autoloss_gym.data.image_source import ImageSource
from autoloss_gym.scoring.classifiers import storage, training
from autoloss_gym.scoring.classifiers.networks import (
    KINDS,
    Classifier,
    ConvolutionalNetwork,
    Perceptron,
)
from autoloss_gym.scoring.classifiers.storage import Layers
from autoloss_gym.tools import cache
from autoloss_gym.tools.cache import CACHE_VARIABLE
from autoloss_gym.tools.compiling import graph_constant
from autoloss_gym.tools.names import unknown

__all__ = ["CACHE_VARIABLE", "Classifier", "ConvolutionalNetwork", "Perceptron", "load_classifier"]


def load_classifier(
    source: ImageSource, device: str = "cpu", kind: str = "perceptron"
) -> Classifier:
    """The classifier of a set of images.

    It is trained now, in seconds to two minutes, if the cache folder does not hold it yet. The
    cache folder is the one that the environment variable AUTOLOSS_GYM_CACHE names, by default the
    user's cache folder of the operating system (on Linux ~/.cache/autoloss_gym). A file is bound to
    the content of the images and to the recipe; one that cannot be read is made anew. Reading it
    runs no code.

    Args:
        source: a set of images with labels.
        device: where the weights shall lie.
        kind: "perceptron", or "convolutional", which is right more often and takes longer to train
            and to ask.

    Raises:
        ValueError: the images have no labels or cannot be loaded, or there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(unknown("kind", kind, KINDS))
    weights, biases, image_shape, accuracy = _trained(source, device, kind)
    return KINDS[kind](weights, biases, image_shape, accuracy)


@graph_constant(maxsize=8)
def _trained(
    source: ImageSource, device: str, kind: str
) -> tuple[Layers, Layers, tuple[int, ...], float]:
    """The fields of the classifier: a compiled program cannot hold the object itself."""
    images = source.load()
    if images.labels is None:
        raise ValueError(
            f"dataset={source.dataset!r}: a classifier needs labels; give each image its class"
        )
    path = cache.cache_folder() / f"classifier_{training.digest(images, kind)}.safetensors"
    parts = storage.read(path, training.weight_shapes(images, kind))
    if parts is None:
        logging.getLogger(__name__).info(
            "training a %s classifier of %s, once for all", kind, source.dataset
        )
        weights, biases = training.trained(source, kind)
        network = KINDS[kind](weights, biases, source.image_shape)
        accuracy = training.accuracy(network, source)
        storage.write(path, weights, biases, accuracy)
    else:
        weights, biases, accuracy = parts
    weights = tuple(weight.to(device) for weight in weights)
    biases = tuple(bias.to(device) for bias in biases)
    return weights, biases, source.image_shape, accuracy
