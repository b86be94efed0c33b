"""An introspective variational autoencoder of images (SoftAdapt §4.2)."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.loss import Buffered, Buffers, Loss
from autoloss_gym.core.task import Keys, Metric, Pair, State
from autoloss_gym.networks.dcgan import Architecture
from autoloss_gym.optimizers import Optimizer
from autoloss_gym.scoring.natural_judge import NaturalJudge
from autoloss_gym.tasks.images.image_model_task import ImageModelTask, check_images, real_images
from autoloss_gym.tasks.images.intro_vae_coders import EXPECTED_SIZES, SIZES, STYLE, Coders
from autoloss_gym.tasks.images.intro_vae_figures import DECIDING, Figures
from autoloss_gym.tasks.images.intro_vae_losses import ARMS, GROUPS, Losses, features, has_collapsed
from autoloss_gym.tasks.images.intro_vae_presets import ADAM, DIGITS, FACES, FACES32, FACES64
from autoloss_gym.tools.bounds import NonNegativeFloat, NonNegativeInt, PositiveFloat
from autoloss_gym.tools.names import unknown
from autoloss_gym.tools.tree import Parameters


@dataclass(frozen=True, kw_only=True)
class IntroVAE(ImageModelTask):
    """Reconstruct, regularise, judge and deceive: the losses of an introspective VAE.

    ## Description
    A variational autoencoder that is its own adversary. The encoder maps real images to codes near
    a normal prior and pushes the codes of reconstructions and samples at least a margin away from
    it; the decoder makes images whose codes are near the prior. Both want images reconstructed: too
    little weight on this, and codes say nothing about images; too much, and samples are poor.

    ## Losses
    With x real images, x_r reconstructions from a draw of their codes, x_p samples, KL the
    divergence of a code from the prior, and L_AE = ½ Σ (x_r − x)² over the pixels and channels of
    an image, in [0, 1], all means over a mini-batch:

    - encoder: KL(x) + α Σ_s [m − KL(x_s)]₊ + β L_AE, s = r, p, with x_s as a constant in KL(x_s);
    - decoder: α Σ_s KL(x_s) + β L_AE.

    `form="released"` is the released code's: the hinge of the batch's mean KL, ½ instead of the
    decoder's α, L_AE without its ½.

    `arms="players"` (default): `encoder_loss` updates the encoder, `decoder_loss` the decoder; a
    step computes that of the chosen player. `arms="parts"`: `reconstruction`, β L_AE, updates both,
    `divergence`, KL(x), and `encoder_adversarial`, the hinges, the encoder, `decoder_adversarial`
    the decoder. α and β are within the parts: weights of one are the paper's fixed weights, and one
    step of both players. A grid of weights has one for both adversarial parts.

    L_AE sums over pixels and channels, KL over the numbers of a code: β goes with 1 / pixels. The
    released 0.05 at 256 × 256 is, with the ½ of L_AE, 6.4 at 32 × 32 and 25.6 at 16 × 16; with
    `per_pixel=True`, β is `reconstruction` / (height · width), 6,554 at every size. SoftAdapt of
    the losses, loss-weighted, depends on this unit: the policy `introspective_softadapt` names it.

    ## Action Space
    `arms="players"`: Discrete(2), 0 = a step of the encoder, 1 = of the decoder; weights are
    refused, as each has one loss. `arms="parts"`: Discrete(4), or with `control="weights"`
    Box(-1, 1) with four entries: a step then moves both networks.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`: 28 numbers with players, 30
    with parts, one more with `patience`. Validation metrics, means over images decoded from the
    means of their codes: `reconstruction_error` (mean squared error),
    `structural_similarity` (SSIM, in windows of 11 × 11 pixels, in smaller images of the largest
    odd side: 7 in 8 × 8), `peak_signal_noise_ratio` (dB, of an image at most 100); and the samples'
    `inception_score`, without labels `frechet_distance`, which comes first and decides where
    `decides="samples"`; else the reconstruction error does. Five features of the task's own end it,
    of the latest mini-batch that a loss measured, within [0, 1]: the shares of reconstructions and
    of samples beyond the margin (near 1 the hinge is dead), and KL / (KL + m) of real images,
    reconstructions and samples, ½ at the margin.

    ## Rewards
    `shaped` (default) is the improvement of the log of the metric that decides since the last
    validation; `final` pays 0.1 / best error or distance, −0.1 / best inception score at the end;
    `improvement` has segments of 500 steps, window 5.

    ## Starting State
    Weights normal with deviation `weight_deviation`, biases 0. Every episode draws these, its
    mini-batches, its latent numbers and the images that it trains on anew; see `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, when
    training diverges, or when it collapses: one loss alone was trained for `collapse_repeats`
    updates; the best error or distance is under `collapse_share` of the latest, or the latest
    inception score under that share of the best, whichever decides; or at `collapse_updates`
    measurements of the encoder in a row, codes of real images said nothing (mean KL under 1 % of
    the margin: posterior collapse), or all hinges were 0 (a dead hinge; not where α is 0).

    ## Arguments
    dataset, data_dir: "digits" (1,797 images of 8 × 8, bundled with scikit-learn); "mnist",
        "cifar10" or "lfwcrop" from `data_dir`; or the path of an NPZ file or of a folder of
        pictures (see `autoloss_gym.data.images.load_images`).
    size: height and width that images are resized to: 8 to 28 and a multiple of 4, 32 to 56 and a
        multiple of 8, or 64; 0 leaves them.
    arms, form: "players" or "parts", and "paper" or "released".
    margin, alpha: m and α; α = 0 leaves a variational autoencoder.
    reconstruction, per_pixel: β, or where `per_pixel` β · height · width.
    decides: "reconstructions" or "samples": see the observation space.
    filters: of the decoder's last hidden and the encoder's first layer.
    latent_size: numbers of a code.
    kernel_size: of the convolutions with stride 2, 4 or 5.
    weight_deviation: of the weights at the start; 0 for √(2 / inputs) by layer.
    num_samples: images that a run trains on, drawn from its training part; 0 for four fifths of it.
    batch_size: real images of a step, drawn with replacement, and number of samples.
    num_held_out: samples, and real images at most, of a validation.
    num_test: the same of the scores, which depend on it.
    collapse_updates: see above; 0 for never.
    niqe_patch: patches of the NIQE among the scores: even, from 8 pixels to `size`; 0 for none.
    pristine_model: NPZ file of its model (see `load_pristine_model` in
        `autoloss_gym.scoring.image_quality`), by default fitted to a training part of the data set.
    optimizer, learning_rate_factor, clip_norm, max_steps, validate_every, patience,
        collapse_repeats, collapse_share: see `GradientTask` and `Task`.
    preset: "digits", "faces", "faces32" (LFWcrop, 16 × 16 and 32 × 32), or "faces64", for a GPU.

    The scores are the three figures of reconstructions, of the test part, with `niqe_patch` also
    their `niqe`, pooled over all of them (minimised), and of `num_test` samples inception score,
    Fréchet distance and diversity, as those of `ImageGAN`.

    ## References
    Heydari, Thompson, Mehmood: "SoftAdapt: Techniques for Adaptive Loss Weighting of Neural
        Networks with Multi-Part Loss Functions", arXiv 1912.12355, 2019.
    Huang, Li, He, Sun, Tan: "IntroVAE: Introspective Variational Autoencoders for Photographic
        Image Synthesis", NeurIPS 2018.
    Mittal, Soundararajan, Bovik: "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal
        Processing Letters 2013 (NIQE).
    Kingma, Welling: "Auto-Encoding Variational Bayes", ICLR 2014.

    ## Version History
    v0: initial version.
    """

    presets: ClassVar[Mapping[str, Any]] = {
        "digits": DIGITS,
        "faces": FACES,
        "faces32": FACES32,
        "faces64": FACES64,
    }
    reward_arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "final": {"scale": 0.1, "floor": 1e-4},
        "improvement": {"segment": 500, "window": 5},
    }

    arms: str = "players"
    form: str = "paper"
    margin: PositiveFloat = 60.0
    alpha: NonNegativeFloat = 0.5
    reconstruction: NonNegativeFloat = 60.0
    per_pixel: bool = False
    decides: str = "reconstructions"
    collapse_updates: NonNegativeInt = 200
    niqe_patch: NonNegativeInt = 0
    pristine_model: str | None = None
    optimizer: Optimizer = ADAM

    def __post_init__(self) -> None:
        super().__post_init__()
        Losses.check(self.arms, self.form)
        if self.decides not in DECIDING:
            raise ValueError(unknown("decides", self.decides, DECIDING))
        check_images(self.source, SIZES, EXPECTED_SIZES)
        self.coders.architecture.check()
        if self.pristine_model is not None and not self.niqe_patch:
            raise ValueError(
                f"pristine_model={self.pristine_model!r}, niqe_patch=0: expected the size of the "
                "model's patches; give niqe_patch=…"
            )
        _ = self.natural_judge  # a bad argument is told now

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return ARMS[self.arms]

    @property
    def weight_groups(self) -> tuple[tuple[str, ...], ...]:
        return GROUPS[self.arms]

    @functools.cached_property
    def coders(self) -> Coders:
        """Encoder and decoder."""
        names = "filters", "latent_size", "kernel_size", "weight_deviation"
        given = {name: getattr(self, name) for name in names}
        return Coders(Architecture(image_shape=self.source.image_shape, **given, **STYLE))

    @functools.cached_property
    def terms(self) -> Losses:
        """All losses, of the players and their parts."""
        height, width, _ = self.source.image_shape
        beta = self.reconstruction / (height * width) if self.per_pixel else self.reconstruction
        return Losses(self.coders, self.form, self.margin, self.alpha, beta)

    @functools.cached_property
    def figures(self) -> Figures:
        """What images are worth."""
        return Figures(self.coders, self.judge, self.natural_judge, self.decides)

    @functools.cached_property
    def natural_judge(self) -> NaturalJudge | None:
        """What gives reconstructions their NIQE, where that is wanted."""
        if not self.niqe_patch:
            return None
        return NaturalJudge(self.source, self.niqe_patch, self.pristine_model)

    @property
    def validation_metrics(self) -> tuple[Metric, ...]:
        return self.figures.validation_metrics

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        return self.figures.score_metrics

    def make_data(self, keys: Keys) -> dict[str, Any]:
        if self.natural_judge is not None:
            # Fitted now, so that no later step waits for it.
            self.natural_judge.model_on(str(keys.run.device))
        return self.image_data(keys)

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        return self.coders.initial_parameters(keys.run)

    def initial_buffers(self, keys: Keys) -> Buffers:
        # Measured before the first step: no feature begins as a number that was made up.
        first = random.fold_in(keys.run, torch.zeros_like(keys.run))
        batch = self.batch(self.make_data(keys), first)
        return self.terms.measured(self.initial_parameters(keys), batch)

    def draws(self, data: Any, keys: Int64[Tensor, " rows"]) -> dict[str, Tensor]:
        noise = self.terms.noise(keys, self.batch_size)
        return {"images": self.drawn_images(data, keys), **noise}

    def batch_of(self, data: Any, draws: dict[str, Tensor]) -> dict[str, Tensor]:
        rows = data["training"].gather(1, draws["images"])
        return {**draws, "images": real_images(self.source, rows)}

    def losses(self) -> dict[str, Loss]:
        return {pair.loss: Buffered(getattr(self.terms, pair.loss)) for pair in self.pairs}

    def extra(self, state: State) -> Float[Tensor, "num_envs 5"]:
        return features(state.buffers, self.margin)

    def collapsed(self, state: State) -> Bool[Tensor, " num_envs"] | None:
        return has_collapsed(state.buffers, self.collapse_updates, self.alpha)

    def validation_values(
        self, parameters: Parameters, data: Any
    ) -> Float[Tensor, "num_envs metrics"]:
        return self.figures.validation(parameters, data, self.num_held_out)

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        return self.figures.scores(parameters, data, self.num_test)

    def samples(self, state: State, count: int) -> Float[Tensor, "num_envs count _ _ channels"]:
        return self.figures.side_by_side(self.unpack(state.parameters), state.data, count)
