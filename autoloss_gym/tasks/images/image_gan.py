"""A generative adversarial network of images (AutoLoss §4.2, 5.1.2, 5.3)."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.loss import Loss
from autoloss_gym.core.task import Keys, Metric, Pair, State
from autoloss_gym.losses import adversarial
from autoloss_gym.networks.dcgan import Architecture
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.scoring.image_judge import SLICE, shared_by_runs
from autoloss_gym.tasks.images.gan_players import EXPECTED_SIZES, SIZES, Players
from autoloss_gym.tasks.images.gan_presets import CIFAR10, MNIST, SMALL
from autoloss_gym.tasks.images.image_model_task import (
    ImageModelTask,
    check_images,
    real_images,
    to_pixels,
)
from autoloss_gym.tools.tree import Parameters


@dataclass(frozen=True, kw_only=True)
class ImageGAN(ImageModelTask):
    """The turns of a generator and a discriminator: which of them to train next.

    ## Description
    A generator makes images from normal numbers, a discriminator tells them from real ones, and
    each learns from the other (a DCGAN). Where one is trained too little, the other learns nothing;
    the share of updates that each needs depends on data, architecture and the stage of training.

    ## Losses
    `generator_loss` updates the generator alone, `discriminator_loss` the discriminator alone. A
    step draws a mini-batch and computes only the loss of the chosen player. With x real and G(z)
    generated images, and D the probability and d the log odds that the discriminator gives for
    real:

    - `loss="non_saturating"` (default, as the released code): −E log D(G(z)) for the generator,
      −(E log D(x) + E log(1 − D(G(z)))) / 2 for the discriminator.
    - `"minimax"`: E log(1 − D(G(z))) for the generator, the same for the discriminator.
    - `"hinge"`: −E d(G(z)), and (E max(0, 1 − d(x)) + E max(0, 1 + d(G(z)))) / 2.

    ## Action Space
    Discrete(2): 0 = a step of the generator, 1 = a step of the discriminator. `repeat=k` makes k
    such steps an action. There is no `control="weights"`: each player has one loss.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features` (AutoLoss §4.2): 15 numbers,
    16 with `patience`: progress, norms and losses of both players with their ratios, and two
    validation metrics with their averages and trends: the `inception_score` of generated images
    (maximised, decides), or without labels their `frechet_distance` (minimised), and
    `discriminator_error`, the mean share of real and of generated images that are mistaken.

    ## Rewards
    `shaped` (default) is the increase of the log inception score since the last validation; `final`
    pays 10 · IS² for the best validated score; `improvement` is the online reward of AutoLoss §4.4,
    with segments of 500 steps and a window of 5 (ours; the paper gives none for GANs). Without
    labels, `shaped` is the decrease of the log distance, `final` 10 / distance.

    ## Starting State
    Weights normal with deviation `weight_deviation`, biases 0. Every episode draws these, its
    mini-batches, its latent numbers and the images that it trains on anew; see `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, when
    training diverges, or when it collapses: one player alone was trained for `collapse_repeats`
    updates, or the validated score fell under `collapse_share` of its best.

    ## Arguments
    dataset, data_dir: "digits" (1,797 images of 8 × 8, bundled with scikit-learn); "mnist",
        "cifar10" or "lfwcrop" from `data_dir`; or the path of an NPZ file or of a folder of
        pictures (see `autoloss_gym.data.images.load_images`).
    size: height and width that images are resized to, 8 to 32 and a multiple of 4; 0 leaves them.
    loss: "non_saturating", "minimax" or "hinge".
    filters: of the generator's last hidden and the discriminator's first layer (paper: 32 to 128).
    latent_size: normal numbers that an image is made from (paper: 64 and 128).
    kernel_size: of the convolutions with stride 2, 4 or 5 (as released).
    batch_norm: normalise layers, but for the generator's last and the discriminator's first, by the
        statistics of the batch; images are validated and scored in batches of 256.
    generator_activation, discriminator_activation: "relu", or "leaky_relu" with slope 0.2.
    weight_deviation: of the weights at the start (released: 0.02); 0 for √(2 / inputs) by layer.
    num_samples: images that a run trains on, drawn from its training part; 0 for four fifths of it.
    batch_size: images of a step, drawn with replacement.
    num_held_out: generated images, and real ones at most, of a validation.
    num_test: generated images that are scored, and real ones at most. All three scores depend on
        it; of the digits there are no more than 359 real images to compare with.
    optimizer, learning_rate_factor, clip_norm, max_steps, validate_every, patience,
        collapse_repeats, collapse_share: see `GradientTask` and `Task`.
    preset: "small" for 16 filters and 5,000 images of MNIST, 16 × 16 pixels; "mnist" and "cifar10"
        for the networks and the training of the released code, which are for a GPU.

    The scores are inception score, Fréchet distance and diversity of `num_test` generated images,
    the last two against the test part, under a classifier of the data set itself
    (`autoloss_gym.scoring.image_judge`): they are comparable with each other and with those of real
    images (`real_data_scores`), not with scores under Inception-v3.

    ## References
    Xu et al.: "AutoLoss: Learning Discrete Schedules for Alternate Optimization", ICLR 2019.
    Goodfellow et al.: "Generative Adversarial Nets", NeurIPS 2014.
    Radford, Metz, Chintala: "Unsupervised Representation Learning with Deep Convolutional
        Generative Adversarial Networks", ICLR 2016.
    Lim, Ye: "Geometric GAN", arXiv 1705.02894, 2017 (hinge).
    Salimans et al.: "Improved Techniques for Training GANs", NeurIPS 2016 (inception score).
    Heusel et al.: "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
        Equilibrium", NeurIPS 2017 (Fréchet distance).

    ## Version History
    v1: a validation counts for no worse than its metric's worst value, which a run that diverges is
        paid as its last; `reward_arguments={"bounded": False}` pays as v0 does.
    v0: initial version.
    """

    presets: ClassVar[dict[str, Any]] = {"small": SMALL, "mnist": MNIST, "cifar10": CIFAR10}
    pairs: ClassVar[tuple[Pair, ...]] = (
        Pair("generator_loss", ("generator",), cheap=False),
        Pair("discriminator_loss", ("discriminator",), cheap=False),
    )

    loss: str = "non_saturating"
    batch_norm: bool = False
    generator_activation: str = "relu"
    discriminator_activation: str = "leaky_relu"
    optimizer: Optimizer = field(
        default_factory=lambda: Adam(learning_rate=2e-3, betas=(0.5, 0.999))
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        adversarial.check_adversarial_loss(self.loss)
        check_images(self.source, SIZES, EXPECTED_SIZES)
        self.architecture.check()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.source.image_shape

    @functools.cached_property
    def architecture(self) -> Architecture:
        """The shape of both players, whose fields are arguments of the task."""
        names = [each.name for each in fields(Architecture)]
        return Architecture(**{name: getattr(self, name) for name in names})

    @functools.cached_property
    def players(self) -> Players:
        """Generator and discriminator."""
        return Players(self.architecture)

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

    def make_data(self, keys: Keys) -> dict[str, Any]:
        data = self.image_data(keys)
        del data["test"]  # the scores are of generated images alone
        return data

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        return self.players.initial_parameters(keys.run)

    def draws(self, data: Any, keys: Int64[Tensor, " rows"]) -> dict[str, Tensor]:
        latents = self.players.latents(keys, self.batch_size)
        return {"images": self.drawn_images(data, keys), "latents": latents}

    def batch_of(self, data: Any, draws: dict[str, Tensor]) -> dict[str, Tensor]:
        rows = data["training"].gather(1, draws["images"])
        return {"rows": rows, "latents": draws["latents"]}

    def losses(self) -> dict[str, Loss]:
        return {
            "generator_loss": self._generator_loss,
            "discriminator_loss": self._discriminator_loss,
        }

    def _generator_loss(self, parameters: Parameters, batch: Any) -> Float[Tensor, " num_envs"]:
        generated = self.players.generate(parameters, batch["latents"])
        odds = self.players.discriminate(parameters, [generated])
        return adversarial.generator_loss(self.loss, odds)

    def _discriminator_loss(self, parameters: Parameters, batch: Any) -> Float[Tensor, " num_envs"]:
        real = real_images(self.source, batch["rows"])
        generated = self.players.generate(parameters, batch["latents"])
        odds = self.players.discriminate_both(parameters, real, generated)
        return adversarial.discriminator_loss(self.loss, *odds)

    def validation_values(
        self, parameters: Parameters, data: Any
    ) -> Float[Tensor, "num_envs metrics"]:
        keys = random.fold_in(data["latents"], "validation")
        generated = list(self.players.generate_slices(parameters, keys, self.num_held_out))
        reference = shared_by_runs(data["references"]["validation"])
        score = self.judge.first_score(map(to_pixels, generated), reference)

        slices = data["validation"].split(SLICE, dim=1)
        real = [real_images(self.source, rows) for rows in slices]
        on_real = self.players.discriminate(parameters, real)
        on_generated = self.players.discriminate(parameters, generated)
        error = adversarial.classification_error(on_real, on_generated)
        return torch.stack([score, error], dim=1)

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        keys = random.fold_in(data["latents"], "test")
        generated = self.players.generate_slices(parameters, keys, self.num_test)
        reference = shared_by_runs(data["references"]["test"])
        return self.judge.scores(map(to_pixels, generated), reference)

    def samples(
        self, state: State, count: int
    ) -> Float[Tensor, "num_envs count height width channels"]:
        keys = random.fold_in(state.data["latents"], "validation")
        return self.players.samples(self.unpack(state.parameters), keys, count)
