"""A sparse autoencoder of images (SoftAdapt §4)."""

import functools
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.draws import DrawsAhead
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import ClosedForm, Loss
from autoloss_gym.core.task import Keys, Metric, Pair, Split
from autoloss_gym.data.image_source import ImageSource, resampled_images
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.scoring.classifiers import Classifier, load_classifier
from autoloss_gym.tasks.images import autoencoder_layers as layers
from autoloss_gym.tasks.images.autoencoder_presets import MIXTURE, MNIST
from autoloss_gym.tools.bounds import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    PositiveIntRange,
    PositiveInts,
    largest,
)
from autoloss_gym.tools.tree import Parameters

_LEAST_COST = 1e-3
_SLICE = 256  # images of a run that are measured together: more would leave the caches


@dataclass(frozen=True, kw_only=True)
class SparseAutoencoder(DrawsAhead, GradientTask):
    """Sparse codes of images: as few active units as leave the images recognisable.

    ## Description
    A perceptron encodes images in a layer of ReLU units, and a mirrored one decodes them. The mean
    squared error alone uses all units, a penalty on the activations alone switches all of them off;
    a good code needs few and still says what the image shows.

    ## Losses
    `reconstruction`: mean squared error of the images of a mini-batch, over pixels; updates encoder
    and decoder. `sparsity`: `l1_coefficient` · Σ_i |a_i| over the units of the code, mean over the
    mini-batch; it has no gradient in the decoder and updates the encoder. Both share the Adam of
    the encoder. (SoftAdapt: L = MSE + λ Σ_i |a_i|.)

    ## Action Space
    `control="pair"`: Discrete(2), 0 = a step on `reconstruction`, 1 = a step on `sparsity`.
    `control="weights"`: Box(-1, 1) with two entries. As only `reconstruction` has a gradient in the
    decoder, Adam makes its weight there irrelevant.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`: 27 numbers, 28 with
    `patience`; four less where images have no labels. The validation metrics, means over images of
    the validation part, are `cost` (decides), `reconstruction_error` (mean squared error),
    `sparsity` (Σ_i |a_i|), `active` (share of the code's units that are not 0) and, where images
    have labels, `pcc`: the share of reconstructions that a classifier trained on originals (see
    `autoloss_gym.scoring.classifiers`) still takes for the right class.

    cost = 1 − pcc + `active_price` · active. It states the goal without either loss, so that no
    weights are right by definition: PCC alone asks for no sparsity, and Σ_i |a_i| becomes small
    where the decoder magnifies tiny activations, whereas a number of units has no scale.
    `active_price=0` leaves the figure of the paper. Without labels, the squared error divided by
    the variance of the images takes the place of 1 − pcc.

    ## Rewards
    `shaped` (default) is the decrease of the log validation cost since the last validation; `final`
    pays 10 / best cost at the end; `improvement` is the online reward of AutoLoss §4.4.

    ## Starting State
    Weights normal with variance 2 / inputs, biases 0. Every episode draws these, its mini-batches
    and the images that it trains on anew; see `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, or when
    training diverges.

    ## Arguments
    dataset, data_dir: "digits" (1,797 images of 8 × 8, bundled with scikit-learn); "mnist",
        "cifar10" or "lfwcrop" from `data_dir`; or the path of an NPZ file or of a folder of
        pictures (see `autoloss_gym.data.images.load_images`).
    size: height and width that images are resized to; 0 leaves them.
    hidden_sizes: units of the layers between image and code; the decoder has them in reverse order.
    code_size: units of the code.
    l1_coefficient: λ of the penalty.
    active_price: cost of using all units of the code, where mistaking all images costs 1.
    num_samples: images that a run trains on, drawn from its training part; 0 for four fifths of it.
    batch_size: images of a step, drawn with replacement: num_samples / batch_size steps are an
        epoch.
    num_held_out, num_test: images of the validation and of the test part that are used, at most.
    optimizer, learning_rate_factor, clip_norm, max_steps, validate_every, patience,
        collapse_repeats, collapse_share: see `GradientTask` and `Task`.
    preset: "mnist" for MNIST, with batches of 100 and 30 epochs of 15,000 images; "mixture" for a
        family of short runs on 20 to 200 images, with a learning rate factor from 0.1 to 4.

    `num_samples` may be a range (low, high), from which each problem draws its own number
    uniformly. The scores are the same figures on the test part; where this or the learning rate
    factor is a range, the first is `log_cost`, the natural logarithm of the cost. Images are shared
    by all runs; a run holds the numbers of its own.

    ## References
    Heydari, Thompson, Mehmood: "SoftAdapt: Techniques for Adaptive Loss Weighting of Neural
        Networks with Multi-Part Loss Functions", arXiv 1912.12355, 2019.
    LeCun, Bottou, Bengio, Haffner: "Gradient-based learning applied to document recognition", Proc.
        IEEE 86, 1998 (mnist).
    Alpaydin, Kaynak: "Cascading classifiers", Kybernetika 34, 1998 (digits).

    ## Version History
    v1: a validation counts for no worse than its metric's worst value, which a run that diverges is
        paid as its last; `reward_arguments={"bounded": False}` pays as v0 does.
    v0: initial version.
    """

    instances: ClassVar[str] = "resamples"
    presets: ClassVar[dict[str, dict[str, Any]]] = {"mnist": MNIST, "mixture": MIXTURE}
    pairs: ClassVar[tuple[Pair, ...]] = (
        Pair("reconstruction", ("encoder", "decoder"), cheap=False),
        Pair("sparsity", ("encoder",), cheap=False),
    )

    dataset: str = "digits"
    data_dir: str | None = None
    size: NonNegativeInt = 0
    hidden_sizes: PositiveInts = (64,)
    code_size: PositiveInt = 32
    l1_coefficient: NonNegativeFloat = 3e-3
    active_price: NonNegativeFloat = 0.5
    num_samples: PositiveIntRange | Literal[0] = 0
    batch_size: PositiveInt = 32
    num_held_out: PositiveInt = 256
    num_test: PositiveInt = 2000
    max_steps: PositiveInt = 1000
    validate_every: PositiveInt = 20
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=3e-3))

    def __post_init__(self) -> None:
        super().__post_init__()
        # A data set that cannot be read is an error here, not at the first reset.
        self.source.load()

    @functools.cached_property
    def source(self) -> ImageSource:
        """The images."""
        return ImageSource(self.dataset, self.data_dir, self.size)

    @property
    def data_digest(self) -> str:
        return self.source.load().digest

    def remarks(self, split: Split) -> tuple[str, ...]:
        return self.source.load().remarks

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Pixels, hidden units, units of the code: the encoder, and the decoder backwards."""
        num_pixels = math.prod(self.source.image_shape)
        return (num_pixels, *self.hidden_sizes, self.code_size)

    @property
    def validation_metrics(self) -> tuple[Metric, ...]:
        metrics = (
            Metric("cost", worst=1.0 + self.active_price),
            Metric("reconstruction_error", worst=1.0),
            Metric("sparsity", worst=1e6),
            Metric("active", worst=1.0),
        )
        if not self.source.has_labels:
            return metrics
        return (*metrics, Metric("pcc", minimize=False, worst=0.0))

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        if not self._is_mixture:
            return self.validation_metrics
        logarithm = Metric("log_cost", worst=math.log(1.0 + self.active_price))
        return logarithm, *self.validation_metrics

    @property
    def _is_mixture(self) -> bool:
        return isinstance(self.num_samples, tuple) or isinstance(self.learning_rate_factor, tuple)

    def classifier(self, device: str = "cpu") -> Classifier:
        """The judge of reconstructions; trained at first use."""
        return load_classifier(self.source, device)

    def make_data(self, keys: Keys) -> dict[str, Tensor]:
        sizes = largest(self.num_samples), self.num_held_out, self.num_test
        data = resampled_images(self.source, keys.problem, keys.split, *sizes)
        if isinstance(self.num_samples, tuple):
            stream = random.fold_in(keys.problem, "num samples")
            data["num_samples"] = random.ranged_integers(stream, self.num_samples)
        return data

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        sizes = self.layer_sizes
        return {
            "encoder": layers.initial_layers(random.fold_in(keys.run, "encoder"), sizes),
            "decoder": layers.initial_layers(random.fold_in(keys.run, "decoder"), sizes[::-1]),
        }

    def draws(self, data: Any, keys: Int64[Tensor, " rows"]) -> Int64[Tensor, "rows batch"]:
        count = data["training"].shape[1]
        if "num_samples" in data:
            count = data["num_samples"].repeat(len(keys) // len(data["num_samples"]))[:, None]
        return random.integers(keys, (self.batch_size,), count)

    def batch_of(self, data: Any, draws: Any) -> Float[Tensor, "num_envs batch pixels"]:
        return self.source.gather(data["training"].gather(1, draws))

    def losses(self) -> dict[str, Loss]:
        fit = ClosedForm(layers.reconstruction_error, layers.reconstruction_and_gradient)
        return {"reconstruction": fit, "sparsity": layers.sparsity(self.l1_coefficient)}

    def validation_values(
        self, parameters: Parameters, data: Any
    ) -> Float[Tensor, "num_envs metrics"]:
        return self._figures(parameters, data["validation"])

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        figures = self._figures(parameters, data["test"])
        if not self._is_mixture:
            return figures
        logarithm = torch.log(figures[:, :1].clamp(_LEAST_COST, 1.0 + self.active_price))
        return torch.cat([logarithm, figures], dim=1)

    def _figures(
        self, parameters: Parameters, rows: Int64[Tensor, "num_envs rows"]
    ) -> Float[Tensor, "num_envs metrics"]:
        """The columns of `validation_metrics`, means over the images `rows` of each run."""
        slices = [self._figures_by_image(parameters, part) for part in rows.split(_SLICE, dim=1)]
        means = [torch.cat(figure, dim=1).mean(dim=1) for figure in zip(*slices, strict=True)]
        error, sparsity, active = means[:3]
        if self.source.has_labels:
            recognised = means[3]
            cost = 1 - recognised + self.active_price * active
            return torch.stack([cost, error, sparsity, active, recognised], dim=1)
        cost = error / self.source.pixel_variance + self.active_price * active
        return torch.stack([cost, error, sparsity, active], dim=1)

    def _figures_by_image(
        self, parameters: Parameters, rows: Int64[Tensor, "num_envs rows"]
    ) -> list[Float[Tensor, "num_envs rows"]]:
        """The figures of each image: error, sparsity, activity, and recognition where known."""
        images = self.source.gather(rows)
        code = layers.encode(parameters, images)
        reconstructions = layers.decode(parameters, code)
        error = reconstructions - images
        is_active = (code > 0).to(code.dtype)
        figures = [(error * error).mean(dim=2), code.sum(dim=2), is_active.mean(dim=2)]
        if self.source.has_labels:
            device = str(rows.device)
            labels = self.source.labels_on(device)[rows]
            figures.append(self.classifier(device).recognises(reconstructions, labels))
        return figures
