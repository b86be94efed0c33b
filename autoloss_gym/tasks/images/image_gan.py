"""A generative adversarial network of images (AutoLoss §4.2, 5.1.2, 5.3)."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import Loss, Parameters
from autoloss_gym.core.task import ImageTask, Keys, Metric, Pair, Split, State
from autoloss_gym.data import partition as datasets
from autoloss_gym.data.images import load_images
from autoloss_gym.losses.adversarial import (
    check_adversarial_loss,
    classification_error,
    discriminator_loss,
    generator_loss,
)
from autoloss_gym.networks.convolutions import PADDINGS
from autoloss_gym.networks.dcgan import ACTIVATIONS, Architecture
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.scoring.image_judge import SLICE, ImageJudge
from autoloss_gym.scoring.sample_scores import Moments
from autoloss_gym.tools.names import unknown

_SIZES = range(
    8, 33, 4
)  # heights and widths, in pixels, that can be doubled twice, or for 32 three times, from whole ones
_RELEASED: dict[str, Any] = {  # networks and training of the released code
    "filters": 64,
    "latent_size": 128,
    "kernel_size": 5,
    "weight_deviation": 0.02,
    "optimizer": Adam(learning_rate=2e-4, betas=(0.5, 0.999)),
    "validate_every": 500,
    "patience": 50,
    "collapse_repeats": 500,
    "num_held_out": 5000,
    "num_test": 50_000,
}


@dataclass(frozen=True, kw_only=True)
class ImageGAN(GradientTask, ImageTask):
    """Whose turn is it, the generator's or the discriminator's?

    ## Description
    A generator makes images from normal numbers, a discriminator tells them from real ones, and
    each learns from the other (a DCGAN). Where one of them is trained too little, the other learns
    nothing; which share of the updates each needs depends on data, architecture and how far
    training has come.

    ## Losses
    With D the probability that the discriminator gives for real, x real images, and G(z) generated
    ones: `generator_loss`, which updates the generator alone, and `discriminator_loss`, −(E log
    D(x) + E log(1 − D(G(z)))) / 2, which updates the discriminator alone. `loss="non_saturating"`
    (default, as the released code): −E log D(G(z)); `"minimax"`: E log(1 − D(G(z))); `"hinge"`: −E
    d(G(z)) against (E max(0, 1 − d(x)) + E max(0, 1 + d(G(z)))) / 2 with d the log odds. Each step
    draws a mini-batch, and only the chosen player is computed and differentiated.

    ## Action Space
    Discrete(2): 0 = a step of the generator, 1 = a step of the discriminator. `repeat=k` makes k
    such steps an action. There is no `control="weights"`: each player has one loss.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features` (AutoLoss §4.2): 15 numbers,
    16 with `patience`: progress, norms and losses of both players with their ratios, and two
    validation metrics with their averages and trends: `inception_score` (maximised, decides) of a
    few generated images, and `discriminator_error`, the share of real images of the validation part
    and of generated ones, weighed equally, that the discriminator takes for the other kind. Images
    without labels have `frechet_distance` (minimised) in the place of the inception score.

    ## Rewards
    `shaped` (default) is the increase of the log inception score since the last validation; `final`
    pays 10 · IS² for the best validated score at the end; `improvement` is the online reward of
    AutoLoss §4.4, here with segments of 500 steps and a window of 5, which the paper does not give
    for GANs. For images without labels, `shaped` is the decrease of the log distance, and `final`
    pays 10 / distance.

    ## Starting State
    Weights normal with deviation `weight_deviation`, biases 0. Every episode draws these, its
    mini-batches, its latent numbers and the images that it trains on anew; see `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, when
    training diverges, or when it collapses: one player alone was trained for `collapse_repeats`
    updates, or the validated score fell under `collapse_share` of its best.

    ## Arguments
    dataset, data_dir, size: "digits" (1,797 images of 8 × 8, bundled with scikit-learn); "mnist",
        "cifar10" or "lfwcrop" from `data_dir`; or the path of an NPZ file or of a folder of
        pictures. `size` is the height and width that images are resized to, 8 to 32 and a multiple
        of 4; 0 leaves them (see `autoloss_gym.data.images.load_images`).
    loss: "non_saturating", "minimax" or "hinge".
    filters: of the generator's last hidden layer and of the discriminator's first; the paper's are
        32, 64 and 128.
    latent_size: normal numbers that an image is made from; the paper's are 64 and 128.
    kernel_size: of the convolutions with stride 2, 4 or 5 (as released).
    batch_norm: whether layers are normalised, but for the generator's output and the
        discriminator's first. The statistics are those of the batch, also where images are
        validated and scored (in slices of 256).
    generator_activation, discriminator_activation: "relu", or "leaky_relu" with slope 0.2.
    weight_deviation: of the weights at the start (0.02 as released); 0 for √(2 / inputs) of each
        layer.
    num_samples: images that a run trains on, drawn from its training part; 0 for four fifths of it.
    batch_size: images of a step, drawn with replacement.
    num_held_out: generated images, and real ones at most, of a validation.
    num_test: generated images that are scored, the same number whoever trained, and real ones at
        most. All three scores depend on it; the digits have no more than 359 real images to compare
        with.
    optimizer, max_steps, validate_every, patience, collapse_repeats, collapse_share: see
        `GradientTask` and `Task`.
    preset: "small" for 16 filters and 5,000 images of MNIST, 16 × 16 pixels; "mnist" and "cifar10"
        for the networks and the training of the released code, which are for a GPU.

    The scores are inception score, Fréchet distance and diversity of `num_test` generated images,
    the last two against the test part, under a classifier of the data set itself
    (`autoloss_gym.scoring.image_judge`): they are comparable with each other and with those of real
    images (`real_data_scores`), not with scores under Inception-v3. Pixels are scaled to the
    generator's range, [-1, 1].

    ## References
    Xu, Zhang, Hu, Liang, Salakhutdinov, Xing: "AutoLoss: Learning Discrete Schedules for Alternate
        Optimization", ICLR 2019.
    Goodfellow et al.: "Generative Adversarial Nets", NeurIPS 2014.
    Radford, Metz, Chintala: "Unsupervised Representation Learning with Deep Convolutional
    Generative Adversarial Networks", ICLR 2016.
    Lim, Ye: "Geometric GAN", arXiv 1705.02894, 2017 (hinge).
    Salimans et al.: "Improved Techniques for Training GANs", NeurIPS 2016 (inception score).
    Heusel et al.: "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
        Equilibrium", NeurIPS 2017 (Fréchet).

    ## Version History
    v0: initial version.
    """

    instances: ClassVar[str] = "resamples"
    runs_at_once: ClassVar[int] = 16
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {
            "dataset": "mnist",
            "size": 16,
            "latent_size": 32,
            "num_samples": 5000,
            "num_test": 2000,
            "max_steps": 4000,
            "validate_every": 100,
        },
        "mnist": {**_RELEASED, "dataset": "mnist", "batch_size": 128, "max_steps": 200_000},
        "cifar10": {
            **_RELEASED,
            "dataset": "cifar10",
            "batch_norm": True,
            "batch_size": 256,
            "max_steps": 400_000,
        },
    }
    pairs: ClassVar[tuple[Pair, ...]] = (
        Pair("generator_loss", ("generator",), cheap=False),
        Pair("discriminator_loss", ("discriminator",), cheap=False),
    )

    dataset: str = "digits"
    data_dir: str | None = None
    size: int = 0
    loss: str = "non_saturating"
    filters: int = 16
    latent_size: int = 16
    kernel_size: int = 4
    batch_norm: bool = False
    generator_activation: str = "relu"
    discriminator_activation: str = "leaky_relu"
    weight_deviation: float = 0.0
    num_samples: int = 0
    batch_size: int = 32
    num_held_out: int = 256
    num_test: int = 350
    max_steps: int = 1000
    validate_every: int = 50
    collapse_repeats: int = 200
    collapse_share: float = 0.3
    optimizer: Optimizer = field(
        default_factory=lambda: Adam(learning_rate=2e-3, betas=(0.5, 0.999))
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_adversarial_loss(self.loss)
        if self.kernel_size not in PADDINGS:
            raise ValueError(
                f"kernel_size={self.kernel_size}: expected {' or '.join(map(str, PADDINGS))}"
            )
        for name in ("generator_activation", "discriminator_activation"):
            if getattr(self, name) not in ACTIVATIONS:
                raise ValueError(unknown(name, getattr(self, name), ACTIVATIONS))
        least = {
            "filters": 1,
            "latent_size": 1,
            "num_samples": 0,
            "batch_size": 2,
            "num_held_out": 2,
            "num_test": 2,
        }
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least {minimum}")
        if not 0 <= self.weight_deviation < math.inf:
            raise ValueError(
                f"weight_deviation={self.weight_deviation}: expected a finite number of at least 0"
            )
        if self.size not in (0, *_SIZES):
            raise ValueError(
                f"size={self.size}: expected 8, 12, …, 32, or 0 to leave the images as they are"
            )
        height, width, _ = self.image_shape
        if height != width or height not in _SIZES:
            raise ValueError(
                f"dataset={self.dataset!r}: images of {height} × {width} pixels; expected squares of 8, 12, …, 32; "
                "give size=… to resize them"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return datasets.image_shape(self.dataset, self.data_dir, self.size)

    @functools.cached_property
    def architecture(self) -> Architecture:
        """Of both players."""
        return Architecture(
            image_shape=self.image_shape,
            filters=self.filters,
            latent_size=self.latent_size,
            kernel_size=self.kernel_size,
            batch_norm=self.batch_norm,
            generator_activation=self.generator_activation,
            discriminator_activation=self.discriminator_activation,
            weight_deviation=self.weight_deviation,
        )

    @functools.cached_property
    def judge(self) -> ImageJudge:
        """What scores images of this data set."""
        return ImageJudge(self.dataset, self.data_dir, self.size)

    @property
    def reward_arguments(self) -> Mapping[str, Mapping[str, Any]]:
        final = {"formula": "square"} if self.judge.has_labels else {}  # a distance is minimised
        return {"final": final, "improvement": {"segment": 500, "window": 5}}

    @property
    def validation_metrics(self) -> tuple[Metric, ...]:
        return self.judge.metrics[0], Metric("discriminator_error", worst=1.0)

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        return self.judge.metrics

    def real_data_scores(self, split: Split = "test") -> tuple[int, dict[str, float]]:
        """The scores of as many real images as are scored of generated ones, or of all that a run
        trains on if fewer.
        """
        return self.judge.real_scores(split, self.num_test)

    def remarks(self, split: Split) -> tuple[str, ...]:
        count, scores = self.real_data_scores(split)
        figures = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
        return (f"Real data ({count:,}): {figures}",)

    def make_data(self, keys: Keys) -> dict[str, Any]:
        images = load_images(self.dataset, self.data_dir, self.size)
        sizes = self.num_samples, self.num_held_out, self.num_test
        rows = datasets.resampled_images(images, keys.problem, keys.split, *sizes)
        parts = {"validation": self.num_held_out, "test": self.num_test}
        return {
            "training": rows["training"],
            "validation": rows["validation"],
            "latents": random.fold_in(keys.run, "latents"),
            "references": {part: self._reference(keys, part, most) for part, most in parts.items()},
        }

    def _reference(self, keys: Keys, part: str, most: int) -> dict[str, Tensor]:
        """The moments of real images, a copy for each run."""
        shared = self.judge.reference(keys.split, part, most, str(keys.run.device))
        return {
            name: leaf.expand(len(keys.run), *leaf.shape) for name, leaf in vars(shared).items()
        }

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        return {
            "generator": self.architecture.initial_generator(random.fold_in(keys.run, "generator")),
            "discriminator": self.architecture.initial_discriminator(
                random.fold_in(keys.run, "discriminator")
            ),
        }

    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        rows = data["training"]
        drawn = random.integers(random.fold_in(keys, "images"), (self.batch_size,), rows.shape[1])
        return {"rows": rows.gather(1, drawn), "latents": keys}

    def losses(self) -> dict[str, Loss]:
        return {
            "generator_loss": self._generator_loss,
            "discriminator_loss": self._discriminator_loss,
        }

    def _generator_loss(self, parameters: Parameters, batch: Any) -> Float[Tensor, " num_envs"]:
        generated = self._generate(parameters, batch["latents"], self.batch_size)
        return generator_loss(self.loss, self._discriminate(parameters, generated))

    def _discriminator_loss(self, parameters: Parameters, batch: Any) -> Float[Tensor, " num_envs"]:
        images = (
            self._real(batch["rows"]),
            self._generate(parameters, batch["latents"], self.batch_size),
        )
        # With batch normalisation, real and generated images are batches of their own.
        parts = images if self.batch_norm else (torch.cat(images, dim=1),)
        odds = torch.cat([self._discriminate(parameters, part) for part in parts], dim=1)
        return discriminator_loss(self.loss, *odds.chunk(2, dim=1))

    def _generate(self, parameters: Parameters, keys: Tensor, count: int) -> Tensor:
        """Images (num_envs, count, height, width, channels) in [-1, 1]."""
        latents = random.normal(keys, (count, self.latent_size))
        return self.architecture.generate(parameters["generator"], latents)

    def _discriminate(
        self, parameters: Parameters, images: Tensor
    ) -> Float[Tensor, "num_envs images"]:
        """Log odds that images are real."""
        return self.architecture.discriminate(parameters["discriminator"], images)

    def _real(self, rows: Int64[Tensor, "num_envs rows"]) -> Tensor:
        """Images (num_envs, rows, height, width, channels) in [-1, 1]."""
        pixels = datasets.pixels_on(self.dataset, self.data_dir, self.size, str(rows.device))
        return (datasets.gather(pixels, rows) * 2 - 1).unflatten(2, self.image_shape)

    def _maker(
        self, parameters: Parameters, data: Any, stream: str, made: list[Tensor]
    ) -> Callable[[int, int], Tensor]:
        """Makes the images first … last − 1 of a stream, (num_envs, images, pixels) in [0, 1];
        `made` gets them as they are.
        """
        keys = random.fold_in(data["latents"], stream)

        def make(first: int, last: int) -> Tensor:
            made.append(self._generate(parameters, random.fold_in(keys, first), last - first))
            return ((made[-1] + 1) * 0.5).flatten(2)

        return make

    def validation(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        made: list[Tensor] = []
        make = self._maker(parameters, data, "validation", made)
        score = self.judge.first_score(
            make, self.num_held_out, _shared(data["references"]["validation"])
        )
        images = ([self._real(rows) for rows in data["validation"].split(SLICE, dim=1)], made)
        odds = [
            torch.cat([self._discriminate(parameters, each) for each in part], dim=1)
            for part in images
        ]
        return torch.stack([score, classification_error(*odds)], dim=1)

    def test(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        make = self._maker(parameters, data, "test", [])
        return self.judge.scores(make, self.num_test, _shared(data["references"]["test"]))

    def samples(
        self, state: State, count: int
    ) -> Float[Tensor, "num_envs count height width channels"]:
        make = self._maker(self.unpack(state.parameters), state.data, "validation", [])
        with torch.no_grad():
            slices = [make(first, first + SLICE) for first in range(0, count, SLICE)]
        return torch.cat(slices, dim=1)[:, :count].unflatten(2, self.image_shape)


def _shared(reference: dict[str, Tensor]) -> Moments:
    """What all runs are compared with, of which each holds a copy."""
    return Moments(**{name: leaf[0] for name, leaf in reference.items()})
