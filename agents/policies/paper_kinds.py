"""Rows of the policies that papers compare: those of AutoLoss and its controller, and SoftAdapt."""

from . import arguments, mixtures
from .arguments import Flag, Number, OneOf, Options, Whole
from .kinds import Kind

_ONLINE = Options(
    {
        "buffer": Whole(1, 100_000),
        "batch": Whole(1, 100_000),
        "epochs": Whole(1, 1000),
        "segment": Whole(1, 1_000_000),
        "window": Whole(1, 1000),
        "floor": Number(1e-9, 1e9),
        "learning_rate": Number(1e-9, 1e3),
        "gamma": Number(0, 1),
        "entropy": Number(0, 1e3),
    }
)
_INTROSPECTIVE = Options(
    {
        "unit": Number(1e-6, 1e6),
        "original": Flag(),
        "normalized": Flag(),
        "beta": Number(-1e6, 1e6),
        "order": Whole(1, 4),
        "every": Whole(1, 1_000_000),
        "scale": OneOf(("sum", "count")),
    }
)


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


def online_kind() -> Kind:
    """The controller of §4.4, which no training precedes."""
    return Kind(
        "online_ppo",
        f"online_ppo, or online_ppo: with some of {_ONLINE}",
        "pairs chosen by an actor that PPO teaches during each training, which no other precedes, "
        "with the gain in validation as its reward (AutoLoss, §4.4); it learns from every buffer "
        "decisions (default 50, the paper's 2000)",
        _ONLINE,
        "policies.online:build_online_ppo",
    )


def introspective_kind() -> Kind:
    """SoftAdapt's own setting, §4.2 of its paper."""
    return Kind(
        "introspective_softadapt",
        f"introspective_softadapt, or introspective_softadapt: with some of {_INTROSPECTIVE}",
        "loss-weighted SoftAdapt of the encoder's hinges and the reconstruction in the place of α "
        "and β, for AutoLoss/IntroVAE-v0 with arms=parts (Heydari et al., §4.2); original takes "
        "the slopes alone, normalized divides them by their L1 norm, and unit=U multiplies the "
        "reconstruction, a sum over pixels, before the two are compared",
        _INTROSPECTIVE,
        "policies.introspective_softadapt:build_introspective_softadapt",
    )


def _threshold_kind(name: str, help: str) -> Kind:
    form = f"{name} or {name}:T with a number T"
    read = arguments.optional(arguments.threshold)
    return Kind(name, form, help, read, "policies.threshold_rules:build_threshold_rule")
