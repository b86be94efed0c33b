"""Regression with a quadratic model and an L1 penalty (AutoLoss §4.1, A.2)."""

import functools
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.loss import ClosedForm, Loss
from autoloss_gym.core.task import Keys, Metric, Pair
from autoloss_gym.data import table_families, tables
from autoloss_gym.data.quadratics import HALF_WIDTH, QuadraticProblems
from autoloss_gym.losses.fitting import relative_log_risk
from autoloss_gym.losses.penalties import (
    check_penalty,
    named_tensors,
    packed_for,
    penalties,
    penalty_pairs,
)
from autoloss_gym.losses.quadratic_fit import quadratic_fit, quadratic_fit_and_gradient
from autoloss_gym.networks.quadratic import excess_risk
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tasks.supervised.regression_presets import MIXTURE, RELEASED, TABLES
from autoloss_gym.tasks.supervised.table_task import TableTask
from autoloss_gym.tools.bounds import (
    NonNegativeFloat,
    NonNegativeFloatRange,
    PositiveInt,
    PositiveIntRange,
    Share,
    largest,
)
from autoloss_gym.tools.names import shown
from autoloss_gym.tools.tree import Parameters

_LEAST_RISK, _WORST_RISK = 1e-6, 100.0


@dataclass(frozen=True, kw_only=True)
class QuadraticRegression(TableTask):
    """When to fit and when to shrink: an over-parameterised regression.

    ## Description
    A quadratic model ŷ = w·u + uᵀA u / 10 (+ c) is fitted to few noisy samples of a linear
    function, y = w*·u + noise, with w* uniform on [-0.5, 0.5]ᵈ and u uniform on [-5, 5]ᵈ. It has d
    + d² parameters for 200 samples, so fitting alone overfits and penalising alone underfits; what
    is best lies between, and moves while training goes on.

    With ranges for numbers the task is a family of problems, of which each asks for something else:
    where samples are few and noisy, shrink; where they are many and clean, fit. Nothing tells which
    problem it is but how its training goes. `preset="mixture"` is such a family.

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
    dimension, num_samples, noise: d, training samples, and the deviation of the noise, for
        synthetic data. The last two may be ranges (low, high), from which each problem draws its
        own number uniformly.
    num_held_out: samples of the validation and of the test part of synthetic data, the same for all
        problems; None means as many as `num_samples`, of a range the largest.
    active_features: how many of the true weights are not 0, a number or a range as above; None
        means all.
    true_quadratic: share of the problems whose true function has a quadratic part too, uᵀA* u / 10
        over the active features, with A* uniform on [-0.5, 0.5].
    l1_coefficient: λ of the penalty.
    constant: whether the model has the constant c (not penalised).
    penalty: "joint", or "split" for a penalty on each of w and A.
    train_on_validation: fit the training and the validation part together (the paper's baseline
        without a penalty); the validation metric then says nothing.
    optimizer, learning_rate_factor, clip_norm, max_steps, validate_every, patience,
        collapse_repeats, collapse_share: see `GradientTask` and `Task`.
    preset: "released" for the settings of the authors' code: learning rate 5e-4, up to 20,000
        steps, validation every 10, patience 100; "tables" for the family of real tables; "mixture"
        for one of synthetic data, with 8 features of which 1 to 8 are active, 30 to 100 training
        samples, noise from 0.5 to 6, a true quadratic part in half of the problems, and a learning
        rate factor from 0.1 to 4.

    The score of synthetic data is the exact excess risk E[(ŷ − w*·u)²] over the input distribution;
    `test_error` is the mean squared error on the noisy test part. Where a number is a range or
    `true_quadratic` is neither 0 nor 1, problems differ in how small a risk they allow, and the
    score is `log_excess_risk`, ln of it between 1e-6 and 100: -0.1 is a risk 10 % lower, whatever
    the problem. The score of real data is the test error in units of the target's variance.

    A problem of "tables" is one column of a table to predict from few others, of few rows, with
    noise added; none of this is told. Unseen on another split are rows, not tables. Its score is
    `relative_log_risk`, ln((e + 0.05) / (r + 0.05)) with e the error on the test part, which has no
    noise added, and r that of the mean of the training targets.

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

    generated: ClassVar[tuple[str, ...]] = ("synthetic",)
    bundled: ClassVar[tuple[str, ...]] = tables.BUNDLED_REGRESSION
    bundled_family: ClassVar[tuple[str, ...]] = tables.BUNDLED_NUMBERS
    with_classes: ClassVar[bool] = False
    ranges: ClassVar[tuple[str, ...]] = ("num_samples", "noise", "active_features")
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "released": RELEASED,
        "mixture": MIXTURE,
        "tables": TABLES,
    }
    validation_metrics: ClassVar[tuple[Metric, ...]] = (Metric("mse", worst=100.0),)

    dataset: str | Any = "synthetic"
    dimension: PositiveInt = 16
    num_samples: PositiveIntRange = 200
    num_held_out: PositiveInt | None = None
    noise: NonNegativeFloatRange = 2.0
    active_features: PositiveIntRange | None = None
    true_quadratic: Share = 0.0
    l1_coefficient: NonNegativeFloat = 0.2
    constant: bool = False
    penalty: str = "joint"
    max_steps: PositiveInt = 600
    validate_every: PositiveInt = 5
    optimizer: Optimizer = field(default_factory=lambda: Adam(learning_rate=5e-3))

    def check_arguments(self) -> None:
        check_penalty(self.penalty)
        if self.active_features is not None and largest(self.active_features) > self.dimension:
            raise ValueError(
                f"active_features={shown(self.active_features)}: expected at most dimension="
                f"{self.dimension}"
            )

    @functools.cached_property
    def pairs(self) -> tuple[Pair, ...]:
        others = ("constant",) if self.constant else ()
        return penalty_pairs(self.penalty, "mse", ("linear", "quadratic"), others)

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        if self.family:
            return table_families.RELATIVE_LOG_RISK, Metric("test_error", worst=100.0)
        if self.table is not None:
            return (Metric("test_error", worst=10.0),)
        metrics = Metric("excess_risk", worst=_WORST_RISK), Metric("test_error", worst=100.0)
        logarithm = Metric("log_excess_risk", worst=math.log(_WORST_RISK))
        return (logarithm, *metrics) if self.is_mixture else metrics

    @property
    def is_mixture(self) -> bool:
        return super().is_mixture or 0 < self.true_quadratic < 1

    def generated_data(self, keys: Int64[Tensor, " num_envs"]) -> dict[str, Any]:
        problems = QuadraticProblems(
            dimension=self.dimension,
            num_samples=self.num_samples,
            num_held_out=self.num_held_out or largest(self.num_samples),
            noise=self.noise,
            active_features=self.active_features,
            true_quadratic=self.true_quadratic,
            train_on_validation=self.train_on_validation,
        )
        return problems.draw(keys)

    def initial_parameters(self, keys: Keys) -> dict[str, Any]:
        size = self.num_features
        linear = random.normal(random.fold_in(keys.run, "linear"), (size,), 0.1)
        quadratic = random.normal(random.fold_in(keys.run, "quadratic"), (size, size), 0.01)
        blocks = {"linear": {"linear": linear}, "quadratic": {"quadratic": quadratic}}
        if self.constant:
            constant = torch.zeros_like(linear[:, :1])
            blocks["constant"] = {"constant": constant}
        return packed_for(self.penalty, blocks)

    def losses(self) -> dict[str, Loss]:
        mse = ClosedForm(quadratic_fit, quadratic_fit_and_gradient)
        return {"mse": mse, **penalties(self.pairs, self.l1_coefficient, exempt=("constant",))}

    def validation_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs 1"]:
        return quadratic_fit(parameters, data["validation"])[:, None]

    def score_values(self, parameters: Parameters, data: Any) -> Float[Tensor, "num_envs metrics"]:
        test_error = quadratic_fit(parameters, data["test"])
        if self.table is not None:
            return test_error[:, None]
        if self.family:
            return torch.stack([relative_log_risk(test_error, data["reference"]), test_error], 1)
        named, quadratic = named_tensors(parameters), data.get("true_quadratic")
        risk = excess_risk(named, data["truth"], HALF_WIDTH, quadratic)
        values = [risk, test_error]
        if self.is_mixture:
            values.insert(0, torch.log(risk.clamp(_LEAST_RISK, _WORST_RISK)))
        return torch.stack(values, dim=1)
