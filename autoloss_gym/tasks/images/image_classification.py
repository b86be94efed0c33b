"""A small classifier of images, trained on mini-batches with labels of which some are wrong."""

import functools
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.draws import DrawsAhead
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import Loss
from autoloss_gym.core.task import Keys, Metric, Pair, Split
from autoloss_gym.data.image_source import ImageSource, resampled_images
from autoloss_gym.losses.fitting import cross_entropy, error_rate
from autoloss_gym.losses.penalties import squares
from autoloss_gym.losses.perceptron_fit import cross_entropy_and_slope, perceptron_fit
from autoloss_gym.networks.perceptron import initial_weight, perceptron
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tools.bounds import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    PositiveInts,
    Share,
)
from autoloss_gym.tools.tree import Parameters

_CROSS_ENTROPY = Metric("cross_entropy", worst=100.0)
_ACCURACY = Metric("accuracy", minimize=False, worst=0.0)


@dataclass(frozen=True, kw_only=True)
class ImageClassification(DrawsAhead, GradientTask):
    """Fit a perceptron to few images, some of whose labels are random, or shrink its weights.

    ## Description
    A ReLU perceptron learns the classes of images from mini-batches. It can learn wrong labels by
    heart: how fast, how long and how far it goes decides what it knows of other images.

    ## Losses
    `cross_entropy`: mean over the images of a mini-batch. `l2`: `l2_coefficient` · the sum of the
    squared weights and biases. Both update all parameters.

    ## Action Space
    `control="pair"`: Discrete(2), 0 = a step on `cross_entropy`, 1 = a step on `l2`.
    `control="weights"`: Box(-1, 1) with two entries.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`. The validation metrics are
    cross-entropy (decides) and accuracy on the validation part.

    ## Rewards
    `shaped` (default) is the decrease of the log validation cross-entropy since the last
    validation; `final` pays at the end; `improvement` is the online reward of AutoLoss §4.4.

    ## Starting State
    Weights normal with variance 2 / inputs, biases 0. Every episode draws these, its mini-batches,
    the images that it trains on and the labels that are wrong anew; see `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, or when
    training diverges.

    ## Arguments
    dataset, data_dir: "digits" (1,797 images of 8 × 8, bundled with scikit-learn); "mnist" or
        "cifar10" from `data_dir`; or the path of an NPZ file or of a folder of pictures, with
        labels (see `autoloss_gym.data.images.load_images`).
    size: height and width that images are resized to; 0 leaves them.
    hidden_sizes: units of the hidden layers.
    label_noise: probability with which the label of a training or validation image is drawn anew
        from all classes; it may then be right by chance. Labels of the test part are right.
    l2_coefficient: of the penalty.
    num_samples: images that a run trains on, drawn from its training part; 0 for four fifths of it.
    batch_size: images of a step, drawn with replacement.
    num_held_out, num_test: images of the validation and of the test part that are used, at most.
    optimizer, learning_rate_factor, clip_norm, max_steps, validate_every, patience,
        collapse_repeats, collapse_share: see `GradientTask` and `Task`.

    The scores are the share of errors and the cross-entropy on the test part.

    ## References
    LeCun, Bottou, Bengio, Haffner: "Gradient-based learning applied to document recognition", Proc.
        IEEE 86, 1998 (mnist).
    Alpaydin, Kaynak: "Cascading classifiers", Kybernetika 34, 1998 (digits).

    ## Version History
    v0: initial version.
    """

    instances: ClassVar[str] = "resamples"
    pairs: ClassVar[tuple[Pair, ...]] = (
        Pair("cross_entropy", ("network",)),
        Pair("l2", ("network",)),
    )

    dataset: str = "digits"
    data_dir: str | None = None
    size: NonNegativeInt = 0
    hidden_sizes: PositiveInts = (20,)
    label_noise: Share = 0.0
    l2_coefficient: NonNegativeFloat = 1e-3
    num_samples: PositiveInt | Literal[0] = 0
    batch_size: PositiveInt = 32
    num_held_out: PositiveInt = 256
    num_test: PositiveInt = 1000
    max_steps: PositiveInt = 300
    validate_every: PositiveInt = 10
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=3e-3))

    def __post_init__(self) -> None:
        super().__post_init__()
        # A data set that cannot be read is an error here, not at the first reset.
        self.source.load()
        if not self.source.has_labels:
            raise ValueError(
                f"dataset={self.dataset!r}: its images have no labels; expected a set with classes,"
                " such as 'digits'"
            )

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
    def validation_metrics(self) -> tuple[Metric, ...]:
        return _CROSS_ENTROPY, _ACCURACY

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        return Metric("error_rate", worst=1.0), _CROSS_ENTROPY

    @functools.cached_property
    def num_classes(self) -> int:
        """Classes of the images."""
        labels = self.source.load().labels
        assert labels is not None
        return int(labels.max()) + 1

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Pixels, hidden units, classes."""
        return math.prod(self.source.image_shape), *self.hidden_sizes, self.num_classes

    def make_data(self, keys: Keys) -> dict[str, Any]:
        sizes = self.num_samples, self.num_held_out, self.num_test
        rows = resampled_images(self.source, keys.problem, keys.split, *sizes)
        labels = self.source.labels_on(str(keys.problem.device))
        data = {part: {"rows": index, "labels": labels[index]} for part, index in rows.items()}
        if self.label_noise:
            for part in ("training", "validation"):
                stream = random.fold_in(keys.problem, part)
                data[part]["labels"] = self._noisy(data[part]["labels"], stream)
        return data

    def _noisy(
        self, labels: Int64[Tensor, "num_envs rows"], keys: Int64[Tensor, " num_envs"]
    ) -> Int64[Tensor, "num_envs rows"]:
        count = labels.shape[1]
        drawn = random.uniform(random.fold_in(keys, "label noise"), (count,)) < self.label_noise
        others = random.integers(random.fold_in(keys, "labels"), (count,), self.num_classes)
        return torch.where(drawn, others, labels)

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        network: dict[str, Tensor] = {}
        for index, (inputs, outputs) in enumerate(pairwise(self.layer_sizes)):
            stream = random.fold_in(keys.run, f"layer {index}")
            network[f"weight_{index}"] = initial_weight(stream, inputs, outputs)
            network[f"bias_{index}"] = torch.zeros(
                len(stream), outputs, dtype=torch.float32, device=stream.device
            )
        return {"network": network}

    def draws(self, data: Any, keys: Int64[Tensor, " rows"]) -> Int64[Tensor, "rows batch"]:
        return random.integers(keys, (self.batch_size,), data["training"]["rows"].shape[1])

    def batch_of(self, data: Any, draws: Int64[Tensor, "num_envs batch"]) -> dict[str, Tensor]:
        part = data["training"]
        return self._shown({name: values.gather(1, draws) for name, values in part.items()})

    def losses(self) -> dict[str, Loss]:
        fit = perceptron_fit(cross_entropy_and_slope)
        return {"cross_entropy": fit, "l2": squares("network", self.l2_coefficient)}

    def validation_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 2"]:
        error, loss = self._figures(parameters, data["validation"])
        return torch.stack([loss, 1 - error], dim=1)

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 2"]:
        return torch.stack(self._figures(parameters, data["test"]), dim=1)

    def _figures(self, parameters: Parameters, part: Any) -> tuple[Tensor, Tensor]:
        """Error rate and cross-entropy of each run on a part."""
        shown = self._shown(part)
        logits = self.logits(parameters, shown["inputs"])
        return error_rate(logits, shown["targets"]), cross_entropy(logits, shown["targets"])

    def _shown(self, part: Any) -> dict[str, Tensor]:
        return {"inputs": self.source.gather(part["rows"]), "targets": part["labels"]}

    def logits(
        self, parameters: Parameters, images: Float[Tensor, "num_envs rows pixels"]
    ) -> Float[Tensor, "num_envs rows classes"]:
        """What the classifiers say of images in [0, 1]."""
        network = parameters["network"]
        count = len(self.hidden_sizes) + 1
        layers = [(network[f"weight_{index}"], network[f"bias_{index}"]) for index in range(count)]
        return perceptron(images, layers)
