"""Classification with a multi-layer perceptron and an L1 penalty (AutoLoss §4.1, A.2)."""

import functools
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym.core.loss import Loss
from autoloss_gym.core.task import Keys, Metric, Pair
from autoloss_gym.data import resampled_tables, table_families, table_problems, tables
from autoloss_gym.data.clusters import ClusterProblems
from autoloss_gym.losses.fitting import cross_entropy, error_rate, relative_log_risk
from autoloss_gym.losses.penalties import (
    check_penalty,
    named_tensors,
    packed_for,
    penalties,
    penalty_pairs,
)
from autoloss_gym.networks.perceptron import initial_layers, perceptron
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tasks.supervised.tabular_task import TabularTask
from autoloss_gym.tools.bounds import NonNegativeFloat, PositiveInt, PositiveInts, at_least
from autoloss_gym.tools.names import unknown
from autoloss_gym.tools.tree import Parameters

_GENERATED = ("paper", "make_classification")
_ASSIGNMENTS = ("random", "adjacent", "opposite")
_ACCURACY = Metric("accuracy", minimize=False, worst=0.0)
_CROSS_ENTROPY = Metric("cross_entropy", worst=100.0)
_ERROR_RATE = Metric("error_rate", worst=1.0)
_START = 0.1  # deviation of the weights at the start, and the biases


@dataclass(frozen=True, kw_only=True)
class MLPClassification(TabularTask):
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
    side: edge of the hypercube.
    assignment: classes of the vertices for generated data: "adjacent", the first informative
        feature tells them apart; "opposite", only the first two together do (exclusive or);
        "random", which of these is drawn for each problem.
    hidden_sizes: units of the hidden layers.
    l1_coefficient: λ of the penalty.
    penalty: "joint", or "split" for a penalty on each layer.
    train_on_validation: fit the training and the validation part together (the paper's baseline
        without a penalty); the validation metrics then say nothing.
    optimizer, learning_rate_factor, max_steps, validate_every, patience, collapse_repeats,
        collapse_share: see `GradientTask` and `Task`.

    preset: "tables" for the family of real tables.

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

    full_batch: ClassVar[bool] = True
    can_train_on_validation: ClassVar[bool] = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tables": {"dataset": "tables", "learning_rate_factor": (0.1, 4.0), "max_steps": 200}
    }

    dataset: str | Any = "make_classification"
    dimension: Annotated[int, at_least(5)] = 32
    num_samples: Annotated[int, at_least(2)] = 200
    num_held_out: PositiveInt = 1000
    side: NonNegativeFloat = 2.0
    assignment: str = "random"
    hidden_sizes: PositiveInts = (32,)
    l1_coefficient: NonNegativeFloat = 0.02
    penalty: str = "joint"
    train_on_validation: bool = False
    max_steps: PositiveInt = 300
    validate_every: PositiveInt = 10
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=1e-2))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_penalty(self.penalty)
        if self.assignment not in _ASSIGNMENTS:
            raise ValueError(unknown("assignment", self.assignment, _ASSIGNMENTS))
        bundled = tables.BUNDLED_CLASSIFICATION
        self.find_tables(_GENERATED, bundled, bundled, with_classes=True)
        if self.table is not None:
            resampled_tables.load_classes(self.table)

    @property
    def validation_metrics(self) -> tuple[Metric, ...]:
        return (_CROSS_ENTROPY, _ACCURACY) if self.pool else (_ACCURACY, _CROSS_ENTROPY)

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        return (table_families.RELATIVE_LOG_RISK, _ERROR_RATE) if self.pool else (_ERROR_RATE,)

    @functools.cached_property
    def pairs(self) -> tuple[Pair, ...]:
        blocks = [f"layer_{index}" for index in range(len(self.hidden_sizes) + 1)]
        return penalty_pairs(self.penalty, "cross_entropy", blocks)

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Features, hidden units, classes."""
        if self.table is None:
            return (self.tables if self.pool else self).dimension, *self.hidden_sizes, 2
        num_features = self.table.inputs.shape[1]
        num_classes = int(resampled_tables.load_classes(self.table).max()) + 1
        return num_features, *self.hidden_sizes, num_classes

    def make_data(self, keys: Keys) -> dict[str, Any]:
        if self.pool:
            data = table_problems.classifications(self.tables, self.pool, keys.problem, keys.split)
        elif self.table is None:
            data = self._generated_data(keys.problem)
        else:
            data = resampled_tables.resampled_classification(self.table, keys.problem, keys.split)
        if self.train_on_validation:
            data = resampled_tables.with_validation_in_training(data)
        return data

    def _generated_data(self, keys: Int64[Tensor, " num_envs"]) -> resampled_tables.Parts:
        clusters = ClusterProblems(
            dimension=self.dimension,
            side=self.side,
            assignment=self.assignment,
            stretched=self.dataset == "make_classification",
        )
        return clusters.standardised_parts(keys, self.num_samples, self.num_held_out)

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        return packed_for(self.penalty, initial_layers(keys.run, self.layer_sizes, _START))

    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> Any:
        return data["training"]

    def losses(self) -> dict[str, Loss]:
        return {
            "cross_entropy": self._cross_entropy,
            **penalties(self.pairs, self.l1_coefficient),
        }

    def validation_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 2"]:
        part = data["validation"]
        logits = self._logits(parameters, part["inputs"])
        metrics = [1 - error_rate(logits, part["targets"]), cross_entropy(logits, part["targets"])]
        return torch.stack(metrics[::-1] if self.pool else metrics, dim=1)

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        part = data["test"]
        logits = self._logits(parameters, part["inputs"])
        error = error_rate(logits, part["targets"])
        if not self.pool:
            return error[:, None]
        risk = relative_log_risk(cross_entropy(logits, part["targets"]), data["reference"])
        return torch.stack([risk, error], dim=1)

    def _cross_entropy(self, parameters: Parameters, part: Any) -> Float[Tensor, " num_envs"]:
        return cross_entropy(self._logits(parameters, part["inputs"]), part["targets"])

    def _logits(
        self, parameters: Parameters, inputs: Float[Tensor, "num_envs rows features"]
    ) -> Float[Tensor, "num_envs rows classes"]:
        named = named_tensors(parameters)
        count = len(self.hidden_sizes) + 1
        layers = [(named[f"weight_{index}"], named[f"bias_{index}"]) for index in range(count)]
        return perceptron(inputs, layers)
