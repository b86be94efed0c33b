"""Rows of the table of policies for what the AutoLoss paper compares with, and its controller."""

from . import arguments, mixtures
from .kinds import Kind


def compared_kinds() -> tuple[Kind, ...]:
    """The baselines of §5.1 that no other row has."""
    return (
        Kind(
            "fine_tuned",
            "fine_tuned:R1:R2:… with a positive number for each pair, or fine_tuned:R1:R2:…,SHARE "
            "with SHARE from 0 to 1",
            "pairs drawn as by random:R1:R2:… for that share of the training, then the first pair "
            "alone (AutoLoss: FineTuned); without SHARE, the best of 0.2, 0.4, 0.5, 0.6 and 0.8 "
            "on validation problems",
            mixtures.fine_tuning,
            "policies.schedules:build_fine_tuned",
        ),
        _threshold_kind(
            "s1",
            "penalise where (A − B) / B > T, else fit, with A the loss on validation and B that on "
            "training (AutoLoss, §5.1.1); without T, the best of 24 on validation problems",
        ),
        _threshold_kind("s2", "the same with A the penalty and B the loss on validation"),
        _threshold_kind(
            "s3",
            "the same with A the gradient norm of the penalty and B that of the loss on training",
        ),
    )


def _threshold_kind(name: str, help: str) -> Kind:
    form = f"{name} or {name}:T with a number T"
    read = arguments.optional(arguments.threshold)
    return Kind(name, form, help, read, "policies.threshold_rules:build_threshold_rule")
