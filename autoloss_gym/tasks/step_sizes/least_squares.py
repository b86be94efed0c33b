"""Tuning the step size of least squares by training or by validation error (Wang, Yuan, Wu, Ge)."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.state import Keys, Model, State
from autoloss_gym.core.task import Evaluation, Metric, Part
from autoloss_gym.tasks.step_sizes.descent import Descent, evaluation_of
from autoloss_gym.tasks.step_sizes.geometry import polar
from autoloss_gym.tools.bounds import PositiveFloat, PositiveFloatRange, PositiveInt

_RADIUS = 40.0  # in units of the noise: farther out, a run stands still
_WORST = 1e6


@dataclass(frozen=True, kw_only=True)
class LeastSquaresStepSize(Descent):
    """How long a step to take when data are few: by the training error, or by that of others.

    ## Description
    y = ⟨w*, x⟩ + ξ with w* on the unit sphere, x and ξ normal. Gradient descent from w = 0 on the
    mean of ½ (y − ⟨w, x⟩)² fits few samples of many dimensions exactly, noise and all. The step
    size that does so fastest is far too large for other data, which a shorter way from 0 serves
    better: what is best depends on which error counts.

    ## Losses
    `objective`: the mean of ½ (y − ⟨w, x⟩)² over the training samples. It moves the one block
    `point` by plain gradient descent, on all samples or on one that is drawn for each step.

    ## Action Space
    `control="step_size"`: Box(-1, 1, (1,)), the logarithm of a factor on the learning rate; see
    `autoloss_gym.controls.ScaleStep`. `repeat=max_steps` makes it one decision for the whole run.

    ## Observation Space
    Box, the feature groups of `autoloss_gym.signals.features.Features`: 10 numbers, of which 2 are
    the task's own: the length of w by its greatest, and whether the run stands still for it; and
    the factor of the last step.

    ## Rewards
    `shaped` (default) is the decrease of the log of the validation metric since the last
    validation; `final` pays 10 / the least at the end.

    ## Starting State
    w = 0, a new problem (w*, samples, noise) each episode; see `num_instances`.

    ## Episode End
    Terminates after `max_steps` updates, after `patience` validations without a new best, or when a
    step size is no finite number. A run whose w is longer than 40 σ is put back to that length and
    stands still.

    ## Arguments
    meta: what is validated: "train" is the error on the training samples, "validation" that on the
        other half of the samples, on which the run then does not train.
    dimension, num_samples: d, and n, of both parts together.
    noise: the deviation σ of ξ, a number or a range (low, high), from which each problem draws.
    batch: "full" for the gradient of all training samples, "sample" for that of one.
    learning_rate, dtype: see `Descent`.
    max_steps, validate_every, patience, collapse_repeats, collapse_share: see `Task`.
    preset: "paper" for d = 1000 and n = 500; "validation" for the default sizes, by validation.

    The validation metric `rmse` is √ of the mean of (y − ⟨w, x⟩)². The score is exact for unseen
    data: `test_rmse` is √(‖w − w*‖² + σ²), `distance` ‖w − w*‖.

    ## References
    Wang, Yuan, Wu, Ge: "Guarantees for Tuning the Step Size using a Learning-to-Learn Approach",
        ICML 2021.

    ## Version History
    v0: initial version.
    """

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"dimension": 1000, "num_samples": 500},
        "validation": {"meta": "validation"},
    }
    validation_metrics: ClassVar[tuple[Metric, ...]] = (Metric("rmse", worst=_WORST),)
    score_metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("test_rmse", worst=_WORST),
        Metric("distance", worst=_WORST),
    )

    meta: Literal["train", "validation"] = "train"
    dimension: PositiveInt = 100
    num_samples: PositiveInt = 50
    noise: PositiveFloatRange = 1.0
    batch: Literal["full", "sample"] = "full"
    learning_rate: PositiveFloat = 0.05
    max_steps: PositiveInt = 40
    validate_every: PositiveInt = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_samples < 2 and self.meta == "validation":
            raise ValueError(
                f"num_samples={self.num_samples}: expected at least 2 with meta='validation', "
                "which halves them"
            )

    def make_data(self, keys: Keys) -> dict[str, Any]:
        keys_of_problem = keys.problem
        truth = random.normal(random.fold_in(keys_of_problem, "truth"), (self.dimension,))
        truth = truth / torch.sqrt((truth * truth).sum(dim=1, keepdim=True))
        noise = random.ranged(random.fold_in(keys_of_problem, "deviation"), self.noise)
        held_out = self.num_samples // 2 if self.meta == "validation" else 0
        problem = truth.to(self.floats), noise.to(self.floats)
        training = self._samples(keys_of_problem, "training", self.num_samples - held_out, *problem)
        data = {"truth": problem[0], "noise": problem[1], "training": training}
        if held_out:
            data["validation"] = self._samples(keys_of_problem, "validation", held_out, *problem)
        return data

    def begin(self, keys: Keys, data: Any) -> Model:
        stands = torch.zeros_like(keys.run, dtype=torch.bool)
        point = torch.zeros_like(data["truth"])
        return {"parameters": {"point": point}, "buffers": {"stands": stands}}

    def measure(self, state: State) -> Evaluation:
        training, point = state.data["training"], state.parameters["point"].detach()
        residuals = _residuals(point, training)
        gradient = _gradient(residuals, training)
        loss = 0.5 * (residuals * residuals).mean(dim=1)
        norm = torch.sqrt((gradient * gradient).mean(dim=1))
        return evaluation_of(loss, norm)

    def gradients(self, state: State) -> tuple[dict[str, Float[Tensor, "num_envs _"]], ...]:
        training = state.data["training"]
        return ({"point": _gradient(_residuals(state.parameters["point"], training), training)},)

    def base_rate(self, state: State) -> Float[Tensor, " num_envs"] | float:
        return self.learning_rate

    def advance(self, state: State, rate: Float[Tensor, " num_envs"]) -> Model:
        point = state.parameters["point"]
        training = self._sampled(state) if self.batch == "sample" else state.data["training"]
        gradient = _gradient(_residuals(point, training), training)
        moved = point - rate[:, None] * gradient
        limit = _RADIUS * state.data["noise"]
        direction, log_length = polar(moved.detach())
        stands = log_length >= torch.log(limit)
        point = torch.where(stands[:, None], direction * limit[:, None], moved)
        return {"parameters": {"point": point}, "buffers": {"stands": stands}}

    def moves(self, state: State) -> Bool[Tensor, " num_envs"]:
        return ~state.buffers["stands"]

    def validation_values(self, state: State) -> Float[Tensor, "num_envs 1"]:
        part = state.data[self._part]
        residuals = _residuals(state.parameters["point"], part)
        return torch.sqrt((residuals * residuals).mean(dim=1))[:, None]

    def score_values(self, state: State) -> Float[Tensor, "num_envs 2"]:
        away = state.parameters["point"] - state.data["truth"]
        square = (away * away).sum(dim=1)
        noise = state.data["noise"]
        return torch.stack([torch.sqrt(square + noise * noise), torch.sqrt(square)], dim=1)

    def objective(self, state: State, part: Part = "train") -> Float[Tensor, " num_envs"]:
        samples = state.data["training" if part == "train" else self._part]
        residuals = _residuals(state.parameters["point"], samples)
        return 0.5 * (residuals * residuals).mean(dim=1)

    def extra(self, state: State) -> Float[Tensor, "num_envs 2"]:
        _, log_length = polar(state.parameters["point"])
        share = torch.exp(log_length) / (_RADIUS * state.data["noise"])
        columns = share.clamp(max=1), state.buffers["stands"]
        return torch.stack([each.to(torch.float32) for each in columns], dim=1)

    @property
    def _part(self) -> str:
        return "training" if self.meta == "train" else "validation"

    def _samples(
        self,
        keys: Int64[Tensor, " num_envs"],
        part: str,
        rows: int,
        truth: Float[Tensor, "num_envs d"],
        noise: Float[Tensor, " num_envs"],
    ) -> dict[str, Tensor]:
        stream = random.fold_in(keys, part)
        inputs = random.normal(random.fold_in(stream, "inputs"), (rows, self.dimension))
        errors = random.normal(random.fold_in(stream, "noise"), (rows,))
        inputs = inputs.to(self.floats)
        # Not a matrix product: its bits would depend on the number of runs.
        targets = (inputs * truth[:, None]).sum(dim=2) + errors.to(self.floats) * noise[:, None]
        return {"inputs": inputs, "targets": targets}

    def _sampled(self, state: State) -> dict[str, Tensor]:
        """One training sample of each run, another one in every step."""
        training = state.data["training"]
        rows = training["targets"].shape[1]
        stream = random.fold_in(random.fold_in(state.keys.run, "sample"), state.steps)
        chosen = random.integers(stream, (1,), rows)
        places = chosen[:, :, None].expand(-1, 1, self.dimension)
        return {
            "inputs": training["inputs"].gather(1, places),
            "targets": training["targets"].gather(1, chosen),
        }


def _residuals(
    point: Float[Tensor, "num_envs d"], part: dict[str, Tensor]
) -> Float[Tensor, "num_envs rows"]:
    """⟨w, x⟩ − y of every sample."""
    return (part["inputs"] * point[:, None]).sum(dim=2) - part["targets"]


def _gradient(
    residuals: Float[Tensor, "num_envs rows"], part: dict[str, Tensor]
) -> Float[Tensor, "num_envs d"]:
    """Of the mean of half the squared residuals."""
    return (residuals[:, :, None] * part["inputs"]).mean(dim=1)
