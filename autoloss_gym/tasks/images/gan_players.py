"""Generator and discriminator of a GAN as functions of their parameters; images are in [-1, 1]."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.networks.dcgan import Architecture
from autoloss_gym.scoring.image_judge import SLICE
from autoloss_gym.tools.tree import Parameters

# Heights and widths, in pixels, to which layers can double a whole number: twice, or for 32 three
# times.
SIZES = range(8, 33, 4)
EXPECTED_SIZES = "8, 12, …, 32"


@dataclass(frozen=True)
class Players:
    """The two players of many runs.

    Args:
        architecture: of both.
    """

    architecture: Architecture

    def initial_parameters(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, dict[str, Tensor]]:
        """The blocks "generator" and "discriminator"."""
        generator = random.fold_in(keys, "generator")
        discriminator = random.fold_in(keys, "discriminator")
        return {
            "generator": self.architecture.initial_generator(generator),
            "discriminator": self.architecture.initial_discriminator(discriminator),
        }

    def latents(
        self, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Float[Tensor, "num_envs count numbers"]:
        """What images are made from, drawn with the keys."""
        return random.normal(keys, (count, self.architecture.latent_size))

    def generate(
        self, parameters: Parameters, latents: Float[Tensor, "num_envs count numbers"]
    ) -> Float[Tensor, "num_envs count height width channels"]:
        """An image for each row of latent numbers."""
        return self.architecture.generate(parameters["generator"], latents)

    def generate_slices(
        self, parameters: Parameters, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Iterator[Float[Tensor, "num_envs slice height width channels"]]:
        """`count` images, made in slices of which an `ImageJudge` judges one at a time."""
        for first in range(0, count, SLICE):
            size = min(SLICE, count - first)
            latents = self.latents(random.fold_in(keys, first), size)
            yield self.generate(parameters, latents)

    def discriminate(
        self, parameters: Parameters, slices: Sequence[Tensor]
    ) -> Float[Tensor, "num_envs images"]:
        """Log odds that images are real; each slice is a batch of its own."""
        discriminator = parameters["discriminator"]
        odds = [self.architecture.discriminate(discriminator, images) for images in slices]
        return torch.cat(odds, dim=1)

    def discriminate_both(
        self, parameters: Parameters, real: Tensor, generated: Tensor
    ) -> tuple[Float[Tensor, "num_envs images"], Float[Tensor, "num_envs images"]]:
        """Log odds of as many real as generated images, each kind a batch of its own."""
        slices = [real, generated]
        if not self.architecture.batch_norm:
            # Images do not depend on each other: one pass serves both kinds.
            slices = [torch.cat(slices, dim=1)]
        on_real, on_generated = self.discriminate(parameters, slices).chunk(2, dim=1)
        return on_real, on_generated

    def samples(
        self, parameters: Parameters, keys: Int64[Tensor, " num_envs"], count: int
    ) -> Float[Tensor, "num_envs count height width channels"]:
        """The first images of `generate_slices`, in [0, 1]; the same ones for every count."""
        # Whole slices: with batch normalisation, an image depends on the others of its slice.
        num_made = math.ceil(count / SLICE) * SLICE
        with torch.no_grad():
            slices = list(self.generate_slices(parameters, keys, num_made))
        return (torch.cat(slices, dim=1)[:, :count] + 1) * 0.5
