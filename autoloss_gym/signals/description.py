"""What a controller must know of a training run to make sense of its figures."""

from dataclasses import dataclass

from autoloss_gym.core.task import Metric


@dataclass(frozen=True, kw_only=True)
class RunDescription:
    """A training run in a few plain values.

    Args:
        pairs: names of the (loss, parameters) pairs, in the order of the actions.
        validation_metrics: what is validated; the first decides which parameters are the best.
        max_steps: updates in a run.
        validate_every: updates between two validations.
        patience: validations without a new best after which a run ends; 0 means never.
    """

    pairs: tuple[str, ...]
    validation_metrics: tuple[Metric, ...]
    max_steps: int
    validate_every: int
    patience: int = 0

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return self.validation_metrics[0]
