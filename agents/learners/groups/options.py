"""Hyper-parameters of the group policy gradient; imports nothing slow."""

from dataclasses import dataclass
from typing import Annotated, Literal

from autoloss_gym.tools.bounds import Bounds, NonNegativeInt, PositiveFloat, PositiveInt, Units
from autoloss_gym.tools.fields import check_fields

_Copies = Annotated[int, Bounds("an integer from 2 to 4096", least=2, most=4096)]
_Knots = Annotated[int, Bounds("an integer from 1 to 100", least=1, most=100)]
_Rate = Annotated[float, Bounds("a number above 0 and at most 1", above=0, most=1)]


@dataclass(frozen=True, kw_only=True)
class GroupOptions:
    """Hyper-parameters; an update plays `num_envs` runs: num_envs / copies problems, all new.

    Args:
        copies: runs of the same problem with the same draws, a divisor of the number of
            environments.
        baseline: subtracted from what an action has brought: the mean of the problem's copies
            ("group"), or of all runs ("batch").
        scale: what the differences are divided by: their deviation among the problem's copies
            ("group"), so that problems on which all copies come out alike count as much as others,
            or among all runs ("batch"). The same holds for the candidates of the search.
        outcome: what is made small: the log of the best validation ("validation"), or the score
            that the benchmark reports ("truth"), which only generated problems have.
        blind: whether the controller sees zeros instead of observations: it can then learn another
            schedule, but cannot react.
        search_runs: training runs for the search of the base schedule; 0 for none. A base among
            `control_arguments` is taken as it is.
        search_knots: of the base schedule.
        search_problems: problems that each candidate meets in a generation, new ones every time.
        hidden_size: units of the controller's hidden layer.
        observation_clip: of standardised observations.
        weight_deviation: initial deviation of the shifts of log weights.
        step_deviation: initial deviation of the shifts of the log step size.
        learning_rate: of Adam.
        n_epochs: passes over the runs of an update, each one step of Adam.
        clip_range: of the ratio of probabilities (PPO).
    """

    copies: _Copies = 24
    baseline: Literal["group", "batch"] = "group"
    scale: Literal["group", "batch"] = "group"
    outcome: Literal["validation", "truth"] = "validation"
    blind: bool = False
    search_runs: NonNegativeInt = 20_000
    search_knots: _Knots = 4
    search_problems: PositiveInt = 32
    hidden_size: Units = 32
    observation_clip: PositiveFloat = 3.0
    weight_deviation: PositiveFloat = 1.0
    step_deviation: PositiveFloat = 0.5
    learning_rate: _Rate = 8e-3
    n_epochs: PositiveInt = 4
    clip_range: PositiveFloat = 0.2

    def __post_init__(self) -> None:
        check_fields(self)
