"""Classifiers of images: plain data and a forward pass, the same for all runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from autoloss_gym.networks.linear import affine
from autoloss_gym.networks.perceptron import perceptron
from autoloss_gym.tools.compiling import is_eager_on_cpu

# Height and width, in pixels, of the maps at which a convolutional network stops to halve.
_LARGEST_MAP = 4
_ROWS_AT_ONCE = 250  # of a run on the CPU: more of them leave its caches


@dataclass(frozen=True, eq=False)
class Classifier(ABC):
    """A network of layers, the last of which is dense and gives the logits.

    Args:
        weights: of each layer, float32: of a dense one (inputs, outputs).
        biases: of each layer, (outputs,).
        image_shape: height, width and channels of the images.
        accuracy: share of the test part's images that it classifies correctly.
    """

    weights: tuple[Float[Tensor, "..."], ...]
    biases: tuple[Float[Tensor, " _"], ...]
    image_shape: tuple[int, ...]
    accuracy: float = 0.0

    @abstractmethod
    def features(
        self, images: Float[Tensor, "num_envs rows pixels"]
    ) -> Float[Tensor, "num_envs rows features"]:
        """Activations of the last hidden layer.

        Args:
            images: in [0, 1], each as it is stored, channels last.
        """

    @staticmethod
    @abstractmethod
    def weight_shapes(
        sizes: Sequence[int], image_shape: Sequence[int], num_classes: int
    ) -> list[tuple[int, ...]]:
        """Shape of each layer's weights."""

    def logits(
        self, images: Float[Tensor, "num_envs rows pixels"]
    ) -> Float[Tensor, "num_envs rows classes"]:
        return self.dense(-1, self.features(images))

    def probabilities(
        self, images: Float[Tensor, "num_envs rows pixels"]
    ) -> Float[Tensor, "num_envs rows classes"]:
        return torch.softmax(self.logits(images), dim=2)

    def recognises(
        self, images: Float[Tensor, "num_envs rows pixels"], labels: Int64[Tensor, "num_envs rows"]
    ) -> Float[Tensor, "num_envs rows"]:
        """1 where an image is taken for its class, else 0."""
        recognised = self.logits(images).argmax(dim=2) == labels
        return recognised.to(torch.float32)

    def dense(
        self, index: int, values: Float[Tensor, "num_envs rows inputs"]
    ) -> Float[Tensor, "num_envs rows outputs"]:
        """The dense layer `index`, without an activation."""
        weight, bias = self._layer(index, num_envs=len(values))
        return affine(values, weight, bias)

    def _layer(self, index: int, num_envs: int) -> tuple[Tensor, Tensor]:
        """Weight and bias of a dense layer, expanded to every run.

        One product for the rows of all runs would have bits that depend on their number.
        """
        weight = self.weights[index].expand(num_envs, -1, -1)
        bias = self.biases[index].expand(num_envs, -1)
        return weight, bias


class Perceptron(Classifier):
    """A network of dense layers."""

    def features(
        self, images: Float[Tensor, "num_envs rows pixels"]
    ) -> Float[Tensor, "num_envs rows features"]:
        num_hidden = len(self.weights) - 1
        hidden = [self._layer(index, num_envs=len(images)) for index in range(num_hidden)]
        return torch.relu(perceptron(images, hidden))

    @staticmethod
    def weight_shapes(
        sizes: Sequence[int], image_shape: Sequence[int], num_classes: int
    ) -> list[tuple[int, ...]]:
        """`sizes` are the units of the hidden layers."""
        return list(pairwise((prod(image_shape), *sizes, num_classes)))


class ConvolutionalNetwork(Classifier):
    """Convolutions of 3 × 3 pixels, each followed by the maximum over 2 × 2, then a dense layer.

    The weights of a convolution are (outputs, inputs, 3, 3).
    """

    def features(
        self, images: Float[Tensor, "num_envs rows pixels"]
    ) -> Float[Tensor, "num_envs rows features"]:
        if is_eager_on_cpu(images):
            # Run by run: PyTorch chooses how to convolve by the number of rows, and with it the
            # bits.
            maps = torch.stack([self._maps_by_parts(run) for run in images])
        else:
            maps = self._maps(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        return torch.relu(self.dense(-2, maps))

    def _maps_by_parts(self, images: Float[Tensor, "rows pixels"]) -> Float[Tensor, "rows values"]:
        return torch.cat([self._maps(part) for part in images.split(_ROWS_AT_ONCE)])

    def _maps(self, images: Float[Tensor, "rows pixels"]) -> Float[Tensor, "rows values"]:
        """Outputs of the convolutions, flattened."""
        values = channels_first(images.unflatten(1, self.image_shape))
        for weight, bias in zip(self.weights[:-2], self.biases[:-2], strict=True):
            values = pooled(conv2d(values, weight, bias, padding=1))
        return values.flatten(1)

    @staticmethod
    def weight_shapes(
        sizes: Sequence[int], image_shape: Sequence[int], num_classes: int
    ) -> list[tuple[int, ...]]:
        """`sizes` are the channels of the convolutions and the units of the dense layer.

        There are at least two convolutions, and as many as make maps of at most 4 × 4 pixels; the
        last number of channels is that of all that follow.
        """
        *channels, units = sizes
        height, width, inputs = image_shape
        shapes: list[tuple[int, ...]] = []
        while len(shapes) < 2 or max(height, width) > _LARGEST_MAP:
            outputs = channels[min(len(shapes), len(channels) - 1)]
            shapes.append((outputs, inputs, 3, 3))
            # Pooling rounds up.
            height = -(-height // 2)
            width = -(-width // 2)
            inputs = outputs
        return [*shapes, (height * width * inputs, units), (units, num_classes)]


def channels_first(
    images: Float[Tensor, "rows height width channels"],
) -> Float[Tensor, "rows channels height width"]:
    """Images in [0, 1] as a convolution takes them, from −1 to 1."""
    return (images * 2 - 1).permute(0, 3, 1, 2).contiguous()


def pooled(
    values: Float[Tensor, "rows channels height width"],
) -> Float[Tensor, "rows channels half_height half_width"]:
    """The maximum over 2 × 2 pixels, fewer at an odd edge, if it is positive; else 0."""
    return torch.relu(max_pool2d(values, 2, ceil_mode=True))


KINDS: dict[str, type[Classifier]] = {
    "perceptron": Perceptron,
    "convolutional": ConvolutionalNetwork,
}
