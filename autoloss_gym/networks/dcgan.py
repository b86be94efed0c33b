"""Generator and discriminator of a DCGAN (Radford, Metz, Chintala 2016), for many runs at once."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import leaky_relu

from autoloss_gym import random
from autoloss_gym.networks.convolutions import PADDINGS, batch_norm, double, halve
from autoloss_gym.networks.linear import affine
from autoloss_gym.tools.names import unknown
from autoloss_gym.tools.tree import Parameters

ACTIVATIONS = ("relu", "leaky_relu")
_SLOPE = 0.2
_DOUBLED_FROM = (0, 0, 32, 64)  # the least height of an image, in pixels, with so many doublings


class _Layer(NamedTuple):
    name: str
    weight_shape: tuple[int, ...]
    num_inputs: int  # numbers that are summed for one output
    num_outputs: int


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Shape of both players.

    With f `filters` and n doublings, the generator's layers have 2ⁿ⁻¹f, …, 2f, f filters, the
    discriminator's the same backwards. Images of fewer than 32 pixels are doubled twice, of fewer
    than 64 three times, others four times.

    Args:
        image_shape: height, width and channels of an image.
        filters: f.
        latent_size: normal numbers that an image is made from.
        kernel_size: of the convolutions, 4 or 5.
        batch_norm: whether layers are normalised, except the generator's output and the
            discriminator's first.
        generator_activation, discriminator_activation: "relu", or "leaky_relu" with slope 0.2.
        weight_deviation: standard deviation of the weights at the start; 0 for √(2 / inputs) of
            each layer (He et al. 2015).
    """

    image_shape: tuple[int, int, int]
    filters: int
    latent_size: int
    kernel_size: int
    batch_norm: bool
    generator_activation: str
    discriminator_activation: str
    weight_deviation: float

    def check(self) -> None:
        """ValueError unless layers of this kind exist."""
        if self.kernel_size not in PADDINGS:
            expected = " or ".join(map(str, PADDINGS))
            raise ValueError(f"kernel_size={self.kernel_size}: expected {expected}")
        for name in ("generator_activation", "discriminator_activation"):
            if getattr(self, name) not in ACTIVATIONS:
                raise ValueError(unknown(name, getattr(self, name), ACTIVATIONS))

    @property
    def widths(self) -> tuple[int, ...]:
        """Filters of the generator's hidden layers, first to last."""
        doublings = sum(self.image_shape[0] >= least for least in _DOUBLED_FROM)
        return tuple(self.filters * 2**power for power in reversed(range(doublings)))

    @property
    def base_shape(self) -> tuple[int, int, int]:
        """Height, width and filters of the generator's first layer and the discriminator's last."""
        height, width, _ = self.image_shape
        doublings = len(self.widths)
        return height >> doublings, width >> doublings, self.widths[0]

    def initial_generator(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        """Normal weights, biases 0."""
        size = math.prod(self.base_shape)
        kernel = self.kernel_size
        channels = self.image_shape[2]

        layers = [_Layer("dense", (self.latent_size, size), self.latent_size, size)]
        for index, (inputs, outputs) in enumerate(pairwise((*self.widths, channels))):
            # With stride 2, a pixel of the output meets a quarter of the kernel.
            summed = inputs * kernel**2 // 4
            shape = (inputs, outputs, kernel, kernel)
            layers.append(_Layer(f"double_{index}", shape, summed, outputs))
        return self._drawn(keys, layers) | self._norms(keys, dict(enumerate(self.widths)))

    def initial_discriminator(
        self, keys: Int64[Tensor, " num_envs"], num_outputs: int = 1
    ) -> dict[str, Tensor]:
        """Normal weights, biases 0; an encoder has several outputs."""
        size = math.prod(self.base_shape)
        kernel = self.kernel_size
        widths = self.widths[::-1]

        layers = []
        for index, (inputs, outputs) in enumerate(pairwise((self.image_shape[2], *widths))):
            shape = (outputs, inputs, kernel, kernel)
            layers.append(_Layer(f"halve_{index}", shape, inputs * kernel**2, outputs))
        layers.append(_Layer("dense", (size, num_outputs), size, num_outputs))

        normalised = dict(enumerate(widths))
        del normalised[0]
        return self._drawn(keys, layers) | self._norms(keys, normalised)

    def _drawn(self, keys: Tensor, layers: list[_Layer]) -> dict[str, Tensor]:
        """Weights and biases by name."""
        drawn = {}
        for name, shape, num_inputs, num_outputs in layers:
            deviation = self.weight_deviation or math.sqrt(2 / num_inputs)
            drawn[name] = random.normal(random.fold_in(keys, name), shape, deviation)
            drawn[f"{name}_bias"] = torch.zeros(
                len(keys), num_outputs, dtype=torch.float32, device=keys.device
            )
        return drawn

    def _norms(self, keys: Tensor, widths: dict[int, int]) -> dict[str, Tensor]:
        """Scale 1 and shift 0 of the normalised layers, whose widths are given by index."""
        norms: dict[str, Tensor] = {}
        if not self.batch_norm:
            return norms
        for index, width in widths.items():
            norms[f"norm_{index}_scale"] = torch.ones(
                len(keys), width, dtype=torch.float32, device=keys.device
            )
            norms[f"norm_{index}_shift"] = torch.zeros(
                len(keys), width, dtype=torch.float32, device=keys.device
            )
        return norms

    def generate(
        self, generator: Parameters, latents: Float[Tensor, "num_envs batch latents"]
    ) -> Float[Tensor, "num_envs batch height width channels"]:
        """Images in [-1, 1]."""
        values = affine(latents, generator["dense"], generator["dense_bias"])
        values = values.unflatten(2, self.base_shape)
        for index in range(len(self.widths)):
            values = _normalised(generator, index, values)
            values = _activated(values, self.generator_activation)
            values = double(values, generator[f"double_{index}"], generator[f"double_{index}_bias"])
        return torch.tanh(values)

    def discriminate(
        self,
        discriminator: Parameters,
        images: Float[Tensor, "num_envs batch height width channels"],
    ) -> Float[Tensor, "num_envs batch"]:
        """Log odds that an image is real."""
        return self.respond(discriminator, images).squeeze(2)

    def respond(
        self,
        discriminator: Parameters,
        images: Float[Tensor, "num_envs batch height width channels"],
    ) -> Float[Tensor, "num_envs batch outputs"]:
        """All outputs of a discriminator or an encoder for each image."""
        values = images
        for index in range(len(self.widths)):
            layer = f"halve_{index}"
            values = halve(values, discriminator[layer], discriminator[f"{layer}_bias"])
            values = _normalised(discriminator, index, values)
            values = _activated(values, self.discriminator_activation)
        return affine(values.flatten(2), discriminator["dense"], discriminator["dense_bias"])


def _normalised(player: Parameters, index: int, values: Tensor) -> Tensor:
    """The layer `index` after its batch normalisation, if it has one."""
    scale = f"norm_{index}_scale"
    if scale not in player:
        return values
    return batch_norm(values, player[scale], player[f"norm_{index}_shift"])


def _activated(values: Tensor, activation: str) -> Tensor:
    if activation == "relu":
        return torch.relu(values)
    return leaky_relu(values, _SLOPE)
