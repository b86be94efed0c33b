"""Settings of the next trial, by Optuna's tree-structured Parzen estimator."""

import warnings
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState


class SeededSampler(BaseSampler):
    """Draws by the seed, the number of the trial and the trials before it alone.

    A study of one worker that is killed goes on as if it had never stopped, and two workers do not
    draw the same settings. The state of a generator would have to be stored for that.

    Args:
        seed: of the study.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._estimator = _estimator(seed, 0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._estimator = _estimator(self._seed, trial.number)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._estimator.infer_relative_search_space(study, trial)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        return self._estimator.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._estimator.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Any,
    ) -> None:
        self._estimator.after_trial(study, trial, state, values)


def _estimator(seed: int, number: int) -> TPESampler:
    with warnings.catch_warnings():
        # Both were called experimental before they became the default.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(
            seed=(seed * 1_000_003 + number) % 2**32,
            multivariate=True,
            constant_liar=True,  # workers keep away from what others are trying
        )
