"""Rows of the table of policies for weighting rules that balance losses from their values."""

from .arguments import Number, OneOf, Whole
from .kinds import RuleKind
from .several_kinds import rule_kind

_SHARE = Number(0, 1)
_RATE = Number(1e-9, 1e3)


def balancing_kinds() -> list[RuleKind]:
    """ReLoBRaLo, FAMO, IMTL-L, CoV-Weighting, self-adaptive weights and schedules of time."""
    return [
        rule_kind(
            "relobralo",
            "relobralo:ReLoBRaLo",
            "relative loss balancing with random lookback (Bischof, Kraus)",
            alpha=_SHARE,
            temperature=Number(1e-6, 1e6),
            rho=_SHARE,
        ),
        rule_kind(
            "famo",
            "famo:FAMO",
            "FAMO (Liu et al. 2023), which learns from the fall of each loss's logarithm",
            decay=Number(0, 1e3),
            learning_rate=_RATE,
        ),
        rule_kind(
            "imtl",
            "imtl:IMTLBalance",
            "IMTL-L (Liu et al. 2021), learned scales that bring all losses to 1",
            learning_rate=_RATE,
        ),
        rule_kind(
            "cov",
            "coefficient_of_variation:CoVWeighting",
            "coefficients of variation (Groenendijk et al.); decay=D forgets the past",
            decay=_SHARE,
        ),
        rule_kind(
            "self_adaptive",
            "self_adaptive:SelfAdaptiveWeights",
            "weights that ascend the weighted sum (McClenny, Braga-Neto), λ^power or a sigmoid",
            learning_rate=_RATE,
            power=Whole(1, 4),
            mask=OneOf(("polynomial", "sigmoid")),
        ),
        _schedule_kind(),
    ]


def _schedule_kind() -> RuleKind:
    return rule_kind(
        "time_schedule",
        "time_schedule:TimeSchedule.delayed",
        "weight 1 for the first loss; for the others 0 for delay=D steps (default 0), and then "
        "up to weight=W (default 1) within ramp=R steps (default 1,000)",
        delay=Whole(0, 1_000_000_000),
        ramp=Whole(1, 1_000_000_000),
        weight=Number(0, 1e6),
    )
