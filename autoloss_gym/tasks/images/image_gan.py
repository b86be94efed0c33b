"""A generative adversarial network of images (AutoLoss §4.2, 5.1.2, 5.3)."""

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import Loss, Parameters
from autoloss_gym.core.task import ImageTask, Keys, Metric, Pair, Split, State
from autoloss_gym.data.image_source import ImageSource, resampled_images
from autoloss_gym.losses.adversarial import (
    check_adversarial_loss,
    classification_error,
    discriminator_loss,
    generator_loss,
)
from autoloss_gym.networks.convolutions import PADDINGS
from autoloss_gym.networks.dcgan import ACTIVATIONS, Architecture
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.scoring.image_judge import SLICE, ImageJudge, for_each_run, shared_by_runs
from autoloss_gym.tools.names import unknown

# Heights and widths, in pixels, to which layers can double a whole number: twice, or for 32 three
# times.
_SIZES = range(8, 33, 4)
# Networks and training of the released code.
_RELEASED: dict[str, Any] = {
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
        self._check_image_shape()

    def _check_image_shape(self) -> None:
        height, width, _ = self.image_shape
        if height != width or height not in _SIZES:
            raise ValueError(
                f"dataset={self.dataset!r}: images of {height} × {width} pixels; "
                "expected squares of 8, 12, …, 32; give size=… to resize them"
            )

    @functools.cached_property
    def source(self) -> ImageSource:
        """The real images."""
        return ImageSource(self.dataset, self.data_dir, self.size)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.source.image_shape

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
        """The judge of images of this data set."""
        return ImageJudge(self.source)

    @property
    def reward_arguments(self) -> Mapping[str, Mapping[str, Any]]:
        # A score of labelled images is maximised, a distance minimised: IS² suits the first alone.
        final = {"formula": "square"} if self.source.has_labels else {}
        return {"final": final, "improvement": {"segment": 500, "window": 5}}

    @property
    def validation_metrics(self) -> tuple[Metric, ...]:
        return self.judge.metrics[0], Metric("discriminator_error", worst=1.0)

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        return self.judge.metrics

    def real_data_scores(self, split: Split = "test") -> tuple[int, dict[str, float]]:
        """The number and the scores of real images that a run trains on, at most `num_test`."""
        return self.judge.real_scores(split, self.num_test)

    def make_data(self, keys: Keys) -> dict[str, Any]:
        sizes = self.num_samples, self.num_held_out, self.num_test
        rows = resampled_images(self.source, keys.problem, keys.split, *sizes)
        return {
            "training": rows["training"],
            "validation": rows["validation"],
            "latents": random.fold_in(keys.run, "latents"),
            "references": {
                "validation": self._reference(keys, "validation", self.num_held_out),
                "test": self._reference(keys, "test", self.num_test),
            },
        }

    def _reference(self, keys: Keys, part: str, most: int) -> dict[str, Tensor]:
        """Moments of the real images of a part, for each run."""
        reference = self.judge.reference(keys.split, part, most, str(keys.run.device))
        return for_each_run(reference, num_envs=len(keys.run))

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        generator = random.fold_in(keys.run, "generator")
        discriminator = random.fold_in(keys.run, "discriminator")
        return {
            "generator": self.architecture.initial_generator(generator),
            "discriminator": self.architecture.initial_discriminator(discriminator),
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
        return generator_loss(self.loss, self._discriminate(parameters, [generated]))

    def _discriminator_loss(self, parameters: Parameters, batch: Any) -> Float[Tensor, " num_envs"]:
        real = self._real(batch["rows"])
        generated = self._generate(parameters, batch["latents"], self.batch_size)
        # With batch normalisation, real and generated images are batches of their own.
        parts = [real, generated] if self.batch_norm else [torch.cat([real, generated], dim=1)]
        odds = self._discriminate(parameters, parts)
        return discriminator_loss(self.loss, *odds.chunk(2, dim=1))

    def _generate(self, parameters: Parameters, keys: Tensor, count: int) -> Tensor:
        """Images (num_envs, count, height, width, channels) in [-1, 1]."""
        latents = random.normal(keys, (count, self.latent_size))
        return self.architecture.generate(parameters["generator"], latents)

    def _generate_slices(
        self, parameters: Parameters, data: Any, stream: str, count: int
    ) -> Iterator[Tensor]:
        """The first `count` images of a stream of latent numbers, a slice at a time."""
        keys = random.fold_in(data["latents"], stream)
        for first in range(0, count, SLICE):
            yield self._generate(parameters, random.fold_in(keys, first), min(SLICE, count - first))

    def _real(self, rows: Int64[Tensor, "num_envs rows"]) -> Tensor:
        """Images (num_envs, rows, height, width, channels) in [-1, 1]."""
        return (self.source.gather(rows) * 2 - 1).unflatten(2, self.image_shape)

    def _discriminate(
        self, parameters: Parameters, slices: list[Tensor]
    ) -> Float[Tensor, "num_envs images"]:
        """Log odds that images are real."""
        discriminator = parameters["discriminator"]
        odds = [self.architecture.discriminate(discriminator, images) for images in slices]
        return odds[0] if len(odds) == 1 else torch.cat(odds, dim=1)

    def validation(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        reference = shared_by_runs(data["references"]["validation"])
        generated = list(self._generate_slices(parameters, data, "validation", self.num_held_out))
        real = [self._real(rows) for rows in data["validation"].split(SLICE, dim=1)]
        score = self.judge.first_score(map(_as_stored, generated), reference)
        error = classification_error(
            self._discriminate(parameters, real), self._discriminate(parameters, generated)
        )
        return torch.stack([score, error], dim=1)

    def test(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        reference = shared_by_runs(data["references"]["test"])
        generated = self._generate_slices(parameters, data, "test", self.num_test)
        return self.judge.scores(map(_as_stored, generated), reference)

    def samples(
        self, state: State, count: int
    ) -> Float[Tensor, "num_envs count height width channels"]:
        # Whole slices, so that with batch normalisation an image does not depend on the count.
        whole = math.ceil(count / SLICE) * SLICE
        parameters = self.unpack(state.parameters)
        with torch.no_grad():
            generated = self._generate_slices(parameters, state.data, "validation", whole)
            slices = [_as_stored(images) for images in generated]
        return torch.cat(slices, dim=1)[:, :count].unflatten(2, self.image_shape)


def _as_stored(images: Tensor) -> Float[Tensor, "num_envs images pixels"]:
    """Images in [-1, 1] as rows of pixels in [0, 1]."""
    return ((images + 1) * 0.5).flatten(2)
