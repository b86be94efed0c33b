"""Rows of the table of policies that come in several: weighting rules and algorithms."""

from ..configuration import ALGORITHMS
from . import arguments
from .arguments import Flag, OneOf, Options, Reader, Whole
from .kinds import Kind, RuleKind

_ANY_RULE: dict[str, Reader] = {
    "pair": Flag(),
    "every": Whole(1, 1_000_000),
    "scale": OneOf(("sum", "count")),
}


def rule_kind(name: str, rule: str, help: str, **options: Reader) -> RuleKind:
    """The row of a weighting rule, whose argument is a list of options."""
    read = Options({**options, **_ANY_RULE}, exclusive=("order", "least_squares"))
    form = f"{name}, or {name}: with some of {read}"
    return RuleKind(name, form, help, read, "policies.weighting:build_rule", rule)


def trained_kind(algorithm: str) -> Kind:
    """The row of an algorithm, whose argument says where a training is kept."""
    # Stable-Baselines3 has neither of these, so there is no .zip file of them.
    is_own = algorithm in ("group", "reinforce")
    read = arguments.run_folders if is_own else arguments.trained
    return Kind(
        algorithm,
        "ALGO:RUN[,RUN…] with run folders of train_agent.py or patterns of them, or ALGO:FILE.zip",
        f"a trained policy of {', '.join(ALGORITHMS)}; runs that differ in their seed alone are "
        "pooled; a .zip file of Stable-Baselines3 can run code, and needs --trust-checkpoint",
        read,
        "policies.trained.stored:build_stored",
    )
