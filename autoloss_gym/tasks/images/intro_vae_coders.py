"""Encoder and decoder of an introspective VAE as functions of their parameters.

Images are in [-1, 1], as the networks of a GAN take and make them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.networks.dcgan import Architecture
from autoloss_gym.networks.variational import Code, as_code, divergence
from autoloss_gym.scoring.image_judge import SLICE
from autoloss_gym.tools.tree import Parameters

# Heights and widths, in pixels, that layers halve twice, three times or four times.
SIZES = (*range(8, 32, 4), *range(32, 64, 8), 64)
EXPECTED_SIZES = "8, 12, …, 28, 32, 40, 48, 56, 64"
# What the networks have in common with all others of this kind; images are normalised nowhere.
STYLE: dict[str, Any] = {
    "batch_norm": False,
    "generator_activation": "relu",
    "discriminator_activation": "leaky_relu",
}


@dataclass(frozen=True)
class Coders:
    """The two networks of many runs: a GAN's discriminator, with more outputs, and its generator.

    Args:
        architecture: of both, without batch normalisation: images do not depend on each other.
    """

    architecture: Architecture

    def initial_parameters(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, dict[str, Tensor]]:
        """The blocks "encoder" and "decoder"."""
        num_outputs = 2 * self.architecture.latent_size
        encoder = random.fold_in(keys, "encoder")
        return {
            "encoder": self.architecture.initial_discriminator(encoder, num_outputs),
            "decoder": self.architecture.initial_generator(random.fold_in(keys, "decoder")),
        }

    def encode(
        self, parameters: Parameters, images: Float[Tensor, "num_envs images height width channels"]
    ) -> Code:
        """The code of each image."""
        return as_code(self.architecture.respond(parameters["encoder"], images))

    def decode(
        self, parameters: Parameters, latents: Float[Tensor, "num_envs images latents"]
    ) -> Float[Tensor, "num_envs images height width channels"]:
        """The image of each row of latent numbers."""
        return self.architecture.generate(parameters["decoder"], latents)

    def reconstruct(
        self, parameters: Parameters, images: Float[Tensor, "num_envs images height width channels"]
    ) -> Float[Tensor, "num_envs images height width channels"]:
        """Each image decoded from the mean of its code, without a draw."""
        return self.decode(parameters, self.encode(parameters, images).mean)

    def prior(
        self, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Float[Tensor, "num_envs images latents"]:
        """Normal latent numbers of samples, drawn with the keys."""
        return random.normal(keys, (count, self.architecture.latent_size))

    def sample_slices(
        self, parameters: Parameters, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Iterator[Float[Tensor, "num_envs slice height width channels"]]:
        """`count` samples, made in slices of which an `ImageJudge` judges one at a time.

        The first ones are the same for every count.
        """
        for first in range(0, count, SLICE):
            # Draws in normal(…) depend on their number: whole slices are drawn.
            latents = self.prior(random.fold_in(keys, first), SLICE)[:, : count - first]
            yield self.decode(parameters, latents.contiguous())

    def divergences(
        self,
        parameters: Parameters,
        reconstructions: Float[Tensor, "num_envs images height width channels"],
        samples: Float[Tensor, "num_envs images height width channels"],
    ) -> tuple[Float[Tensor, "num_envs images"], Float[Tensor, "num_envs images"]]:
        """Divergences of the codes of as many reconstructions as samples, in one pass."""
        both = torch.cat([reconstructions, samples], dim=1)
        made, drawn = divergence(self.encode(parameters, both)).chunk(2, dim=1)
        return made, drawn
