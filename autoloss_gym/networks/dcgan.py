"""Generator and discriminator of a DCGAN (Radford, Metz, Chintala 2016), for many runs at once."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.loss import Parameters
from autoloss_gym.networks.convolutions import PADDINGS, batch_norm, double, halve
from autoloss_gym.networks.linear import affine
from autoloss_gym.tools.names import unknown

ACTIVATIONS = ("relu", "leaky_relu")
_SLOPE = 0.2
_Layer = tuple[
    str, tuple[int, ...], int, int
]  # name, shape of the weights, numbers that a unit sums, units


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The shape of both players.

    With f `filters` and n doublings, the generator's layers have 2ⁿ⁻¹f, …, 2f, f filters, the
    discriminator's the same backwards. Images of fewer than 32 pixels are doubled twice, others
    three times.

    Args:
        image_shape: height, width and channels of an image.
        filters: f.
        latent_size: normal numbers that an image is made from.
        kernel_size: of the convolutions, 4 or 5.
        batch_norm: whether layers are normalised, but for the generator's output and the
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
        doublings = 2 if self.image_shape[0] < 32 else 3
        return tuple(self.filters * 2**power for power in reversed(range(doublings)))

    @property
    def base_shape(self) -> tuple[int, int, int]:
        """Of the generator's first layer and of the discriminator's last."""
        widths, (height, width, _) = self.widths, self.image_shape
        return height >> len(widths), width >> len(widths), widths[0]

    def initial_generator(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        """Normal weights, biases 0."""
        size, kernel = math.prod(self.base_shape), self.kernel_size
        layers: list[_Layer] = [("dense", (self.latent_size, size), self.latent_size, size)]
        for index, (inputs, outputs) in enumerate(pairwise((*self.widths, self.image_shape[2]))):
            layers.append(
                (
                    f"double_{index}",
                    (inputs, outputs, kernel, kernel),
                    inputs * kernel**2 // 4,
                    outputs,
                )
            )
        norms = (
            {f"norm_{index}": width for index, width in enumerate(self.widths)}
            if self.batch_norm
            else {}
        )
        return self._drawn(keys, layers, norms)

    def initial_discriminator(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        """Normal weights, biases 0."""
        size, kernel, widths = math.prod(self.base_shape), self.kernel_size, self.widths[::-1]
        layers: list[_Layer] = []
        for index, (inputs, outputs) in enumerate(pairwise((self.image_shape[2], *widths))):
            layers.append(
                (f"halve_{index}", (outputs, inputs, kernel, kernel), inputs * kernel**2, outputs)
            )
        norms = (
            {f"norm_{index}": width for index, width in enumerate(widths) if index}
            if self.batch_norm
            else {}
        )
        return self._drawn(keys, [*layers, ("dense", (size, 1), size, 1)], norms)

    def _drawn(
        self, keys: Tensor, layers: list[_Layer], norms: dict[str, int]
    ) -> dict[str, Tensor]:
        """Parameters of these layers, and of normalisations of such widths."""
        zeros, drawn = torch.zeros(len(keys), 1, device=keys.device), {}
        for name, shape, inputs, outputs in layers:
            deviation = self.weight_deviation or math.sqrt(2 / inputs)
            drawn[name] = random.normal(random.fold_in(keys, name), shape, deviation)
            drawn[f"{name}_bias"] = zeros.repeat(1, outputs)
        for name, width in norms.items():
            drawn |= {
                f"{name}_scale": zeros.repeat(1, width) + 1,
                f"{name}_shift": zeros.repeat(1, width),
            }
        return drawn

    def generate(
        self, generator: Parameters, latents: Float[Tensor, "num_envs batch latents"]
    ) -> Float[Tensor, "num_envs batch height width channels"]:
        """Images in [-1, 1]."""
        values = affine(latents, generator["dense"], generator["dense_bias"]).unflatten(
            2, self.base_shape
        )
        for index in range(len(self.widths)):
            values = _activate(_normalised(generator, index, values), self.generator_activation)
            values = double(values, generator[f"double_{index}"], generator[f"double_{index}_bias"])
        return torch.tanh(values)

    def discriminate(
        self,
        discriminator: Parameters,
        images: Float[Tensor, "num_envs batch height width channels"],
    ) -> Float[Tensor, "num_envs batch"]:
        """Log odds that an image is real."""
        values = images
        for index in range(len(self.widths)):
            values = halve(
                values, discriminator[f"halve_{index}"], discriminator[f"halve_{index}_bias"]
            )
            values = _activate(
                _normalised(discriminator, index, values), self.discriminator_activation
            )
        return affine(
            values.flatten(2), discriminator["dense"], discriminator["dense_bias"]
        ).squeeze(2)


def _normalised(player: dict[str, Any] | Parameters, index: int, values: Tensor) -> Tensor:
    scale = f"norm_{index}_scale"
    return (
        batch_norm(values, player[scale], player[f"norm_{index}_shift"])
        if scale in player
        else values
    )


def _activate(values: Tensor, activation: str) -> Tensor:
    return (
        torch.relu(values)
        if activation == "relu"
        else torch.nn.functional.leaky_relu(values, _SLOPE)
    )
