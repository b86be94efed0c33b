"""What a controller must know of a training run to make sense of its figures."""

from dataclasses import dataclass

from autoloss_gym.core.task import Metric
from autoloss_gym.tools.bounds import NonNegativeInt, PositiveInt
from autoloss_gym.tools.fields import check_fields


@dataclass(frozen=True, kw_only=True)
class RunDescription:
    """A training run in a few plain values.

    Args:
        pairs: names of the (loss, parameters) pairs, in the order of the actions.
        validation_metrics: what is validated; the first decides which parameters are the best.
        max_steps: updates in a run.
        validate_every: updates between two validations.
        patience: validations without a new best after which a run ends; 0 means never.
        blocks: names of the parameter blocks of each pair; () where they are not known.
    """

    pairs: tuple[str, ...]
    validation_metrics: tuple[Metric, ...]
    max_steps: PositiveInt
    validate_every: PositiveInt
    patience: NonNegativeInt = 0
    blocks: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if not (self.pairs and self.validation_metrics):
            raise ValueError(f"{self}: expected at least one pair and one metric")
        if self.blocks and len(self.blocks) != len(self.pairs):
            raise ValueError(
                f"{self}: expected blocks for each of {len(self.pairs)} pairs, or none"
            )

    @property
    def shares_blocks(self) -> bool:
        """Whether some block belongs to several pairs; True where the blocks are not known."""
        named = [block for blocks in self.blocks for block in blocks]
        return not named or len(set(named)) < len(named)

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return self.validation_metrics[0]
