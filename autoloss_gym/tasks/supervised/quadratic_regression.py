"""Regression with a quadratic model and an L1 penalty (AutoLoss §4.1, A.2)."""

import functools
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import ClosedForm, Loss
from autoloss_gym.core.task import Keys, Metric, Pair, Split
from autoloss_gym.data import resampled_tables, table_families, table_problems, tables
from autoloss_gym.data.tables.columns import Table
from autoloss_gym.losses.fitting import mean_squared_error, relative_log_risk
from autoloss_gym.losses.penalties import (
    check_penalty,
    named_tensors,
    packed_for,
    penalties,
    penalty_pairs,
)
from autoloss_gym.networks.quadratic import excess_risk, predict, squared_error_and_gradients
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tools.bounds import NonNegativeFloat, PositiveInt
from autoloss_gym.tools.tree import Parameters

_HALF_WIDTH = 5.0  # inputs are uniform on [-5, 5]


@dataclass(frozen=True, kw_only=True)
class QuadraticRegression(GradientTask):
    """When to fit and when to shrink: an over-parameterised regression.

    ## Description
    A quadratic model ŷ = w·u + uᵀA u / 10 (+ c) is fitted to few noisy samples of a linear
    function, y = w*·u + noise, with w* uniform on [-0.5, 0.5]ᵈ and u uniform on [-5, 5]ᵈ. It has d
    + d² parameters for 200 samples, so fitting alone overfits and penalising alone underfits; what
    is best lies between, and moves while training goes on.

    ## Losses
    `mse`: mean squared error on the training part (full batch). `l1`: `l1_coefficient` · (‖w‖₁ +
    ‖A‖₁). Both update all parameters through one shared Adam. With `penalty="split"`, `l1_linear`
    and `l1_quadratic` each penalise and update one of w and A instead, which no single λ can
    imitate.

    ## Action Space
    `control="pair"`: Discrete(2), 0 = a step on `mse`, 1 = a step on `l1`; with split pairs
    Discrete(3), in the order `mse`, `l1_linear`, `l1_quadratic`. `control="weights"`: Box(-1, 1)
    with as many entries.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`: 11 numbers, with split
        pairs also 11; one more with `patience`.

    ## Rewards
    `shaped` (default) is the decrease of the log validation error since the last validation;
    `final` pays 10 / best validation error at the end; `improvement` is the online reward of
    AutoLoss §4.4.

    ## Starting State
    w and A normal with deviation 0.1 and 0.01, c = 0. A new problem (w*, samples, noise) each
    episode; see `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, or when
    training diverges.

    ## Arguments
    dataset: "synthetic"; "diabetes" (442 patients, bundled with scikit-learn); the path of a text
        table, NPZ or Parquet file with a numeric target (see
        `autoloss_gym.data.tables.load_table`); a data frame; or a pair of arrays, inputs (rows,
        features) and targets (rows,). Real data are standardised on the training part.
    tables: of dataset="tables", see `MLPClassification`.
    target: the column of the table to predict, by default the last.
    dimension, num_samples, noise: d, samples a part, and the deviation of the noise, for synthetic
        data.
    l1_coefficient: λ of the penalty.
    constant: whether the model has the constant c (not penalised).
    penalty: "joint", or "split" for a penalty on each of w and A.
    train_on_validation: fit the training and the validation part together (the paper's baseline
        without a penalty); the validation metric then says nothing.
    optimizer, max_steps, validate_every, patience, collapse_repeats, collapse_share: see
        `GradientTask` and `Task`.
    preset: "released" for the settings of the authors' code: learning rate 5e-4, up to 20,000
        steps, validation every 10, patience 100.

        "tables": the family of real tables.

    A problem of "tables" is one column of a table to predict from few others, of few rows, with
    noise added; none of this is told. Unseen on another split are rows, not tables. Its score is
    `relative_log_risk`, ln((e + 0.05) / (r + 0.05)) with e the error on the test part, which has no
    noise added, and r that of the mean of the training targets.

    The score of synthetic data is the exact excess risk E[(ŷ − w*·u)²] over the input distribution;
    `test_error` is the mean squared error on the noisy test part. The score of real data is the
    test error in units of the target's variance.

    ## References
    Xu, Zhang, Hu, Liang, Salakhutdinov, Xing: "AutoLoss: Learning Discrete Schedules for Alternate
        Optimization", ICLR 2019.
    Efron, Hastie, Johnstone, Tibshirani: "Least Angle Regression", Annals of Statistics 32, 2004
        (diabetes).

    ## Version History
    v1: a validation counts for no worse than its metric's worst value, which a run that diverges is
        paid as its last; `reward_arguments={"bounded": False}` pays as v0 does.
    v0: initial version.
    """

    full_batch: ClassVar[bool] = True
    can_train_on_validation: ClassVar[bool] = True
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "released": {
            "optimizer": Adam(learning_rate=5e-4),
            "max_steps": 20_000,
            "validate_every": 10,
            "patience": 100,
        },
        "tables": {"dataset": table_families.FAMILY},
    }
    validation_metrics: ClassVar[tuple[Metric, ...]] = (Metric("mse", worst=100.0),)

    dataset: str | Any = "synthetic"
    target: str | None = None
    dimension: PositiveInt = 16
    num_samples: PositiveInt = 200
    noise: NonNegativeFloat = 2.0
    l1_coefficient: NonNegativeFloat = 0.2
    constant: bool = False
    penalty: str = "joint"
    train_on_validation: bool = False
    max_steps: PositiveInt = 600
    validate_every: PositiveInt = 5
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=5e-3))
    tables: table_families.TableFamily | Any = ()
    table: Table | None = field(init=False, repr=False, default=None)
    family: tuple[Table, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "dataset", tables.as_dataset(self.dataset))
        object.__setattr__(self, "tables", table_families.as_family(self.tables, self.dataset))
        super().__post_init__()
        check_penalty(self.penalty)
        bundled = tables.BUNDLED_REGRESSION
        table = tables.find_table(
            self.dataset, self.target, ("synthetic", table_families.FAMILY), bundled
        )
        family = self.tables.load(self.dataset, tables.BUNDLED_NUMBERS, with_classes=False)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "family", family)

    @property
    def instances(self) -> str:
        return "problems" if self.table is None else "resamples"

    @property
    def data_digest(self) -> str:
        return table_families.joint_digest((self.table,) if self.table else self.family)

    @functools.cached_property
    def pairs(self) -> tuple[Pair, ...]:
        others = ("constant",) if self.constant else ()
        return penalty_pairs(self.penalty, "mse", ("linear", "quadratic"), others)

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        if self.family:
            return table_families.RELATIVE_LOG_RISK, Metric("test_error", worst=100.0)
        if self.table is None:
            return Metric("excess_risk", worst=100.0), Metric("test_error", worst=100.0)
        return (Metric("test_error", worst=10.0),)

    @property
    def num_features(self) -> int:
        """d."""
        if self.family:
            return self.tables.dimension
        return self.dimension if self.table is None else self.table.inputs.shape[1]

    def remarks(self, split: Split) -> tuple[str, ...]:
        if self.table is None:
            return table_families.remarks(self.family)
        return tables.target_remarks(self.table, self.dataset, self.target)

    def make_data(self, keys: Keys) -> dict[str, Any]:
        if self.family:
            data = table_problems.regression_problems(
                self.tables, self.family, keys.problem, keys.split
            )
        elif self.table is None:
            data = self._synthetic_data(keys.problem)
        else:
            data = resampled_tables.resampled_regression(self.table, keys.problem, keys.split)
        if self.train_on_validation:
            data = resampled_tables.with_validation_in_training(data)
        return data

    def _synthetic_data(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Any]:
        truth = random.uniform(random.fold_in(keys, "truth"), (self.dimension,), -0.5, 0.5)
        data: dict[str, Any] = {}
        for part in ("training", "validation", "test"):
            data[part] = self._samples(random.fold_in(keys, part), truth)
        return data | {"truth": truth}

    def _samples(self, keys: Int64[Tensor, " num_envs"], truth: Tensor) -> dict[str, Tensor]:
        shape = (self.num_samples, self.dimension)
        inputs = random.uniform(random.fold_in(keys, "inputs"), shape, -_HALF_WIDTH, _HALF_WIDTH)
        noise = random.normal(random.fold_in(keys, "noise"), (self.num_samples,), self.noise)
        # Not a matrix product: its bits would depend on the number of runs.
        targets = (inputs * truth[:, None, :]).sum(dim=2) + noise
        return {"inputs": inputs, "targets": targets}

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        size = self.num_features
        linear = random.normal(random.fold_in(keys.run, "linear"), (size,), 0.1)
        quadratic = random.normal(random.fold_in(keys.run, "quadratic"), (size, size), 0.01)
        blocks = {"linear": {"linear": linear}, "quadratic": {"quadratic": quadratic}}
        if self.constant:
            constant = torch.zeros_like(linear[:, :1])
            blocks["constant"] = {"constant": constant}
        return packed_for(self.penalty, blocks)

    def batch(self, data: Any, keys: Int64[Tensor, " num_envs"]) -> Any:
        return data["training"]

    def losses(self) -> dict[str, Loss]:
        mse = ClosedForm(_mean_squared_error, _mean_squared_error_and_gradient)
        return {"mse": mse, **penalties(self.pairs, self.l1_coefficient, exempt=("constant",))}

    def validation_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 1"]:
        return _mean_squared_error(parameters, data["validation"])[:, None]

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        test_error = _mean_squared_error(parameters, data["test"])
        if self.table is not None:
            return test_error[:, None]
        if self.family:
            risk = relative_log_risk(test_error, data["reference"])
        else:
            risk = excess_risk(named_tensors(parameters), data["truth"], _HALF_WIDTH)
        return torch.stack([risk, test_error], dim=1)


def _mean_squared_error(parameters: Parameters, part: Any) -> Float[Tensor, " num_envs"]:
    predictions = predict(named_tensors(parameters), part["inputs"])
    return mean_squared_error(predictions, part["targets"])


def _mean_squared_error_and_gradient(
    parameters: Parameters, part: Any
) -> tuple[Float[Tensor, " num_envs"], Parameters]:
    named = named_tensors(parameters)
    loss, gradients = squared_error_and_gradients(named, part["inputs"], part["targets"])
    by_block = {}
    for block, tensors in parameters.items():
        by_block[block] = {name: gradients[name] for name in tensors}
    return loss, by_block
