"""Classification with a multi-layer perceptron and an L1 penalty (AutoLoss §4.1, A.2)."""

import functools
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym.core.loss import Loss
from autoloss_gym.core.task import Keys, Metric, Pair
from autoloss_gym.data import table_families, tables
from autoloss_gym.data.clusters import ClusterProblems, cluster_data
from autoloss_gym.data.resampled_tables import load_classes
from autoloss_gym.losses import fitting
from autoloss_gym.losses.fitting import cross_entropy, error_rate
from autoloss_gym.losses.penalties import (
    check_penalty,
    named_tensors,
    packed_for,
    penalties,
    penalty_pairs,
)
from autoloss_gym.losses.perceptron_fit import cross_entropy_and_slope, perceptron_fit
from autoloss_gym.networks.perceptron import initial_layers, layers_of, units_by_rows
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tasks.supervised.classification_presets import MIXTURE, TABLES
from autoloss_gym.tasks.supervised.table_task import TableTask
from autoloss_gym.tools.bounds import (
    LESS_THAN_HALF,
    FloatRange,
    IntRange,
    NonNegativeFloat,
    NonNegativeFloatRange,
    PositiveInt,
    PositiveInts,
    at_least,
    ranged,
)
from autoloss_gym.tools.names import shown, unknown
from autoloss_gym.tools.tree import Parameters

_ASSIGNMENTS = ("random", "adjacent", "opposite")
_ACCURACY = Metric("accuracy", minimize=False, worst=0.0)
_CROSS_ENTROPY = Metric("cross_entropy", worst=100.0)
_LOG_EXCESS_ERROR = Metric("log_excess_error", worst=0.0)
_ERROR_RATE = Metric("error_rate", worst=1.0)
_START = 0.1  # deviation of the weights at the start, and the biases


@dataclass(frozen=True, kw_only=True)
class MLPClassification(TableTask):
    """When to fit and when to shrink: a perceptron on few samples with many useless features.

    ## Description
    A ReLU perceptron is fitted to few samples, most of whose features say nothing about the class.
    Cross-entropy alone overfits, the penalty alone forgets; what is best lies between, and moves
    while training goes on.

    ## Losses
    `cross_entropy`: mean over the training part (full batch). `l1`: `l1_coefficient` · the sum of
    the absolute weights and biases. Both update all parameters through one shared Adam. With
    `penalty="split"`, `l1_layer_0`, `l1_layer_1`, … each penalise and update one layer instead,
    which no single λ can imitate.

    ## Action Space
    `control="pair"`: Discrete(2), 0 = a step on `cross_entropy`, 1 = a step on `l1`; with split
    pairs one more action a layer. `control="weights"`: Box(-1, 1) with as many entries.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`: 15 numbers, 16 with
    `patience`. The validation metrics are accuracy and cross-entropy, of "tables" in turned order.

    ## Rewards
    `shaped` (default) is the increase of the log validation accuracy since the last validation;
    `final` with formula "negative_inverse" and floor .5 is the paper's; `improvement` is the online
    reward of AutoLoss §4.4.

    ## Starting State
    Weights normal with deviation 0.1, biases 0.1. A new problem (clusters, samples) each episode;
    see `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, or when
    training diverges.

    ## Arguments
    dataset: "paper", four normal clusters of deviation 1 around vertices of a hypercube, two a
        class, whose features are 5 % informative, 5 % linear combinations of these and noise;
        "make_classification", the same with the clusters stretched at random and 1 % of the labels
        drawn anew, as by scikit-learn's function of that name; "breast_cancer" (569 patients) or
        "digits" (1,797 images, 10 classes), "wine" or "iris", bundled with scikit-learn;
        "tables", a family of problems drawn from several tables; the path of a text table,
        NPZ or Parquet file whose target is a class (see `autoloss_gym.data.tables.load_table`); a
        data frame; or a pair of arrays, inputs (rows, features) and targets (rows,). Real data are
        standardised on the training part.
    tables: of dataset="tables": names and paths of the tables, by default all bundled ones, or a
        mapping with arguments of `autoloss_gym.data.table_families.TableFamily`.
    target: the column of the table to predict, by default the last.
    dimension, num_samples, num_held_out: features, training samples, and samples of the validation
        and of the test part, for generated data.
    side: edge of the hypercube, which separates the classes.
    informative: informative features; None means 5 %, at least 2.
    label_noise: share of the training and validation labels that are turned.
    assignment: classes of the vertices for generated data: "adjacent", the first informative
        feature tells them apart; "opposite", only the first two together do (exclusive or);
        "random", which of these is drawn for each problem.
    hidden_sizes: units of the hidden layers.
    l1_coefficient: λ of the penalty.
    penalty: "joint", or "split" for a penalty on each layer.
    train_on_validation: fit the training and the validation part together (the paper's baseline
        without a penalty); the validation metrics then say nothing.
    optimizer, learning_rate_factor, clip_norm, max_steps, validate_every, patience,
        collapse_repeats, collapse_share: see `GradientTask` and `Task`.

    preset: "tables" for the family of real tables; "mixture" for one of generated data.

    `num_samples`, `side`, `informative` and `label_noise` may be ranges (low, high), from which
    each problem draws its own number uniformly. Where one of these or the learning rate factor is a
    range, the score is `log_excess_error`, ln(e + 0.005), at most 0, with e how much more often
    than the best predictor, Bayes' rule for the known clusters, the network is wrong on the inputs
    of the test part, by the probabilities of the classes there.

    Every part of generated data is standardised on the training part. The score is the share of
    errors on the test part. A problem of "tables" is two groups of a table's classes, few of its
    rows and columns beside columns of noise, and training and validation labels that are partly
    wrong; none of this is told. Unseen on another split are rows, not tables: name others there to
    hold out data sets. Its score, `relative_log_risk`, is ln((c + 0.05) / (r + 0.05)), c being the
    cross-entropy on the test part with its true labels, r that of the training labels' shares.

    ## References
    Xu, Zhang, Hu, Liang, Salakhutdinov, Xing: "AutoLoss: Learning Discrete Schedules for Alternate
        Optimization", ICLR 2019.
    Guyon: "Design of experiments for the NIPS 2003 variable selection benchmark", 2003
        (make_classification).
    Street, Wolberg, Mangasarian: "Nuclear feature extraction for breast tumor diagnosis", 1993
        (breast_cancer).
    Alpaydin, Kaynak: "Cascading classifiers", Kybernetika 34, 1998 (digits).
    Fisher: "The use of multiple measurements in taxonomic problems", 1936 (iris).
    Aeberhard, Coomans, de Vel: "Comparison of classifiers", 1992 (wine).

    ## Version History
    v1: a validation counts for no worse than its metric's worst value, which a run that diverges is
        paid as its last; `reward_arguments={"bounded": False}` pays as v0 does.
    v0: initial version.
    """

    generated: ClassVar[tuple[str, ...]] = ("paper", "make_classification")
    bundled: ClassVar[tuple[str, ...]] = tables.BUNDLED_CLASSIFICATION
    bundled_family: ClassVar[tuple[str, ...]] = tables.BUNDLED_CLASSIFICATION
    with_classes: ClassVar[bool] = True
    ranges: ClassVar[tuple[str, ...]] = ("num_samples", "side", "informative", "label_noise")
    presets: ClassVar[dict[str, dict[str, Any]]] = {"mixture": MIXTURE, "tables": TABLES}

    dataset: str | Any = "make_classification"
    dimension: Annotated[int, at_least(5)] = 32
    num_samples: Annotated[IntRange, ranged(at_least(2))] = 200
    num_held_out: PositiveInt = 1000
    side: NonNegativeFloatRange = 2.0
    informative: Annotated[IntRange | None, ranged(at_least(2))] = None
    label_noise: Annotated[FloatRange, ranged(LESS_THAN_HALF)] = 0.0
    assignment: str = "random"
    hidden_sizes: PositiveInts = (32,)
    l1_coefficient: NonNegativeFloat = 0.02
    penalty: str = "joint"
    max_steps: PositiveInt = 300
    validate_every: PositiveInt = 10
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=1e-2))

    def check_arguments(self) -> None:
        check_penalty(self.penalty)
        if self.assignment not in _ASSIGNMENTS:
            raise ValueError(unknown("assignment", self.assignment, _ASSIGNMENTS))
        if self._clusters.num_informative * 2 > self.dimension:
            raise ValueError(
                f"informative={shown(self.informative)}: expected at most half of dimension="
                f"{self.dimension}, because as many features combine these"
            )

    @property
    def _clusters(self) -> ClusterProblems:
        return ClusterProblems(
            dimension=self.dimension,
            side=self.side,
            assignment=self.assignment,
            stretched=self.dataset == "make_classification",
            informative=self.informative,
            label_noise=self.label_noise,
            with_bayes_rule=self.is_mixture,
        )

    @property
    def validation_metrics(self) -> tuple[Metric, ...]:
        return (_CROSS_ENTROPY, _ACCURACY) if self.family else (_ACCURACY, _CROSS_ENTROPY)

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        if self.family:
            return table_families.RELATIVE_LOG_RISK, _ERROR_RATE
        is_compared = self.is_generated and self.is_mixture
        return (_LOG_EXCESS_ERROR, _ERROR_RATE) if is_compared else (_ERROR_RATE,)

    @functools.cached_property
    def pairs(self) -> tuple[Pair, ...]:
        blocks = [f"layer_{index}" for index in range(len(self.hidden_sizes) + 1)]
        return penalty_pairs(self.penalty, "cross_entropy", blocks)

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Features, hidden units, classes."""
        num_classes = 2
        if self.table is not None:
            num_classes = int(load_classes(self.table).max()) + 1
        return self.num_features, *self.hidden_sizes, num_classes

    def generated_data(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Any]:
        sizes = self.num_samples, self.num_held_out
        return cluster_data(self._clusters, keys, *sizes, self.train_on_validation)

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        return packed_for(self.penalty, initial_layers(keys.run, self.layer_sizes, _START))

    def losses(self) -> dict[str, Loss]:
        return {
            "cross_entropy": perceptron_fit(cross_entropy_and_slope),
            **penalties(self.pairs, self.l1_coefficient),
        }

    def validation_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 2"]:
        part = data["validation"]
        logits = self._logits(parameters, part["inputs"])
        metrics = [1 - error_rate(logits, part["targets"]), cross_entropy(logits, part["targets"])]
        return torch.stack(metrics[::-1] if self.family else metrics, dim=1)

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        part = data["test"]
        logits = self._logits(parameters, part["inputs"])
        error = error_rate(logits, part["targets"])
        if self.family:
            risk = fitting.relative_log_risk(
                cross_entropy(logits, part["targets"]), data["reference"]
            )
        elif "second_class" in part:
            risk = fitting.log_excess_error(logits, part["second_class"])
        else:
            return error[:, None]
        return torch.stack([risk, error], dim=1)

    def _logits(
        self, parameters: Parameters, inputs: Float[Tensor, "num_envs rows features"]
    ) -> Float[Tensor, "num_envs rows classes"]:
        layers = layers_of(named_tensors(parameters))
        return units_by_rows(inputs, layers).transpose(1, 2)
