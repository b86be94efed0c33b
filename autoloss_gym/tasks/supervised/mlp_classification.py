"""Classification with a multi-layer perceptron and an L1 penalty (AutoLoss §4.1, A.2)."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import Loss, Parameters
from autoloss_gym.core.task import Keys, Metric, Split
from autoloss_gym.data import partition as datasets
from autoloss_gym.data import tables
from autoloss_gym.losses.penalties import named_tensors, packed_for, penalties, penalty_pairs
from autoloss_gym.networks.linear import affine
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tools.names import unknown

_GENERATED = ("paper", "make_classification")
_CLUSTERS = 4  # two a class


@dataclass(frozen=True, kw_only=True)
class MLPClassification(GradientTask):
    """When to fit and when to shrink: a perceptron on few samples with many useless features.

    ## Description
    A ReLU perceptron is fitted to few samples, most of whose features say nothing about the class.
    Cross-entropy alone overfits, the penalty alone forgets; what is best lies between, and moves
    while training goes on.

    ## Losses
    `cross_entropy`: mean over the training part (full batch). `l1`: `l1_coefficient` · the sum of
    the absolute weights and biases. Both update all parameters through one shared Adam. With
    `pairs="split"`, `l1_layer_0`, `l1_layer_1`, … each penalise and update one layer instead, which
    no single λ can imitate.

    ## Action Space
    `control="pair"`: Discrete(2), 0 = a step on `cross_entropy`, 1 = a step on `l1`; with split
    pairs one more action a layer. `control="weights"`: Box(-1, 1) with as many entries.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`: 15 numbers, 16 with
    `patience`. The validation metrics are accuracy and cross-entropy.

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
        "digits" (1,797 images, 10 classes), bundled with scikit-learn; or the path of a CSV or NPZ
        file whose target is a class (see `autoloss_gym.data.tables.load_table`). Real data are
        standardised on the training part.
    target: the column of a CSV file to predict, by default the last.
    dimension, num_samples, num_held_out: features, training samples, and samples of the validation
        and of the test part, for generated data.
    side: edge of the hypercube.
    assignment: classes of the vertices for generated data: "adjacent", the first informative
        feature tells them apart; "opposite", only the first two together do (exclusive or);
        "random", which of these is drawn for each problem.
    hidden_sizes: units of the hidden layers.
    l1_coefficient: λ of the penalty.
    pairs: "joint", or "split" for a penalty on each layer.
    train_on_validation: fit the training and the validation part together (the paper's baseline
        without a penalty); the validation metrics then say nothing.
    optimizer, max_steps, validate_every, patience, collapse_repeats, collapse_share: see
        `GradientTask` and `Task`.

    Every part of generated data is standardised on the training part. The score is the share of
    errors on the test part.

    ## References
    Xu, Zhang, Hu, Liang, Salakhutdinov, Xing: "AutoLoss: Learning Discrete Schedules for Alternate
        Optimization", ICLR 2019.
    Guyon: "Design of experiments for the NIPS 2003 variable selection benchmark", 2003
        (make_classification).
    Street, Wolberg, Mangasarian: "Nuclear feature extraction for breast tumor diagnosis", 1993
        (breast_cancer).
    Alpaydin, Kaynak: "Cascading classifiers", Kybernetika 34, 1998 (digits).

    ## Version History
    v0: initial version.
    """

    full_batch: ClassVar[bool] = True
    validation_metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("accuracy", minimize=False, worst=0.0),
        Metric("cross_entropy", worst=100.0),
    )
    score_metrics: ClassVar[tuple[Metric, ...]] = (Metric("error_rate", worst=1.0),)

    dataset: str = "make_classification"
    target: str | None = None
    dimension: int = 32
    num_samples: int = 200
    num_held_out: int = 1000
    side: float = 2.0
    assignment: str = "random"
    hidden_sizes: tuple[int, ...] = (32,)
    l1_coefficient: float = 0.02
    pairs: Any = "joint"  # once made, the tuple of Pair that it stands for
    train_on_validation: bool = False
    max_steps: int = 300
    validate_every: int = 10
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=1e-2))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(size, int) and size > 0 for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes={self.hidden_sizes}: expected positive integers")
        if self.assignment not in ("random", "adjacent", "opposite"):
            raise ValueError(
                unknown("assignment", self.assignment, ("random", "adjacent", "opposite"))
            )
        for name, least in (("dimension", 5), ("num_samples", 2), ("num_held_out", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least {least}")
        for name in ("side", "l1_coefficient"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name}={getattr(self, name)}: expected a finite number of at least 0"
                )
        tables.check_source(self.dataset, self.target, _GENERATED, tables.BUNDLED_CLASSIFICATION)
        if not self.generated:
            datasets.load_classes(self.dataset, self.target)
        blocks = [f"layer_{index}" for index in range(len(self.hidden_sizes) + 1)]
        object.__setattr__(self, "pairs", penalty_pairs(self.pairs, "cross_entropy", blocks))

    @property
    def generated(self) -> bool:
        return self.dataset in _GENERATED

    @property
    def instances(self) -> str:
        return "problems" if self.generated else "resamples"

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Features, hidden units, classes."""
        if self.generated:
            return self.dimension, *self.hidden_sizes, 2
        features = tables.load_table(self.dataset, self.target).inputs.shape[1]
        return (
            features,
            *self.hidden_sizes,
            int(datasets.load_classes(self.dataset, self.target).max()) + 1,
        )

    def remarks(self, split: Split) -> tuple[str, ...]:
        return () if self.generated else tables.target_remarks(self.dataset, self.target)

    def make_data(self, keys: Keys) -> dict[str, Any]:
        data = self._generated_data(keys) if self.generated else self._real_data(keys)
        return datasets.with_validation_in_training(data) if self.train_on_validation else data

    def _real_data(self, keys: Keys) -> dict[str, Any]:
        return datasets.resampled_classification(
            self.dataset, self.target, keys.problem, keys.split
        )

    def _generated_data(self, keys: Keys) -> dict[str, Any]:
        problem = self._clusters(keys.problem)
        sizes = {
            "training": self.num_samples,
            "validation": self.num_held_out,
            "test": self.num_held_out,
        }
        parts = {
            name: self._samples(keys.problem, name, size, problem) for name, size in sizes.items()
        }
        mean = parts["training"]["inputs"].mean(dim=1, keepdim=True)
        deviation = parts["training"]["inputs"].std(dim=1, keepdim=True)
        return {
            name: {**part, "inputs": (part["inputs"] - mean) / deviation}
            for name, part in parts.items()
        }

    @property
    def num_informative(self) -> int:
        """5 % of the features, and at least 2; as many again are linear combinations of them."""
        return max(2, round(0.05 * self.dimension))

    def _clusters(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Tensor]:
        """What the parts of a problem share: centres, shapes, and the linear combinations."""
        k, drawn = (
            self.num_informative,
            {name: random.fold_in(keys, name) for name in ("signs", "kind", "shape", "mix")},
        )
        signs = random.integers(drawn["signs"], (_CLUSTERS, k), 2).to(torch.float32) * 2 - 1
        corners = torch.tensor(
            [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], device=keys.device
        )
        exclusive = {"adjacent": torch.zeros_like(keys), "opposite": torch.ones_like(keys)}.get(
            self.assignment, random.integers(drawn["kind"], (), 2)
        )
        # Clusters 0 and 2 are class 0: with corners in this order they differ in the first feature,
        # else in both.
        order = torch.where(
            exclusive[:, None] == 1, torch.tensor([0, 1, 3, 2]), torch.tensor([0, 2, 1, 3])
        ).to(keys.device)
        centres = torch.cat([corners[order], signs[:, :, 2:]], dim=2) * (self.side / 2)
        shape = torch.eye(k, device=keys.device).expand(len(keys), _CLUSTERS, k, k)
        if self.dataset == "make_classification":
            shape = random.uniform(drawn["shape"], (_CLUSTERS, k, k), -1.0, 1.0)
        return {
            "centres": centres,
            "shape": shape,
            "mix": random.uniform(drawn["mix"], (k, k), -1.0, 1.0),
        }

    def _samples(
        self, keys: Int64[Tensor, " num_envs"], part: str, size: int, problem: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        keys = random.fold_in(keys, part)
        drawn = {
            name: random.fold_in(keys, name) for name in ("cluster", "inputs", "flip", "label")
        }
        cluster = random.integers(drawn["cluster"], (size,), _CLUSTERS)
        runs = torch.arange(len(keys), device=keys.device)[:, None]
        k, inputs = self.num_informative, random.normal(drawn["inputs"], (size, self.dimension))
        informative = (inputs[:, :, :k, None] * problem["shape"][runs, cluster]).sum(
            dim=2
        ) + problem["centres"][runs, cluster]
        combined = (informative[:, :, :, None] * problem["mix"][:, None]).sum(dim=2)
        targets = cluster % 2
        if self.dataset == "make_classification":
            anew = random.uniform(drawn["flip"], (size,)) < 0.01
            targets = torch.where(anew, random.integers(drawn["label"], (size,), 2), targets)
        return {
            "inputs": torch.cat([informative, combined, inputs[:, :, 2 * k :]], dim=2),
            "targets": targets,
        }

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        blocks: dict[str, dict[str, Tensor]] = {}
        for index, (size, next_size) in enumerate(pairwise(self.layer_sizes)):
            weight = random.normal(
                random.fold_in(keys.run, f"layer {index}"), (size, next_size), 0.1
            )
            bias = torch.full((len(keys.run), next_size), 0.1, device=keys.run.device)
            blocks[f"layer_{index}"] = {f"weight_{index}": weight, f"bias_{index}": bias}
        return packed_for(self.pairs, blocks)

    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> Any:
        return data["training"]

    def losses(self) -> dict[str, Loss]:
        return {"cross_entropy": self._cross_entropy, **penalties(self.pairs, self.l1_coefficient)}

    def _cross_entropy(self, parameters: Parameters, part: Any) -> Float[Tensor, " num_envs"]:
        return _cross_entropy(self._logits(parameters, part), part["targets"])

    def _logits(self, parameters: Parameters, part: Any) -> Float[Tensor, "num_envs rows classes"]:
        weights, values = named_tensors(parameters), part["inputs"]
        last = len(self.hidden_sizes)
        for index in range(last + 1):
            values = affine(values, weights[f"weight_{index}"], weights[f"bias_{index}"])
            values = values if index == last else torch.relu(values)
        return values

    def validation(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 2"]:
        part = data["validation"]
        logits = self._logits(parameters, part)
        return torch.stack(
            [1 - _error_rate(logits, part["targets"]), _cross_entropy(logits, part["targets"])],
            dim=1,
        )

    def test(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 1"]:
        return _error_rate(self._logits(parameters, data["test"]), data["test"]["targets"])[:, None]


def _cross_entropy(logits: Tensor, targets: Tensor) -> Float[Tensor, " num_envs"]:
    logs = torch.log_softmax(
        logits.transpose(1, 2).contiguous(), dim=1
    )  # (num_envs, classes, rows), many times as fast
    return -logs.gather(1, targets[:, None]).squeeze(1).mean(dim=1)


def _error_rate(logits: Tensor, targets: Tensor) -> Float[Tensor, " num_envs"]:
    return (logits.argmax(dim=2) != targets).to(torch.float32).mean(dim=1)
