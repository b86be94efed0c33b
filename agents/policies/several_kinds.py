"""Rows of the table of policies that come in several: weighting rules and algorithms."""

from ..configuration import WITH_POLICY
from . import stored_paths
from .arguments import Flag, OneOf, Options, Reader, Whole
from .kinds import Kind, RuleKind

_ANY_RULE: dict[str, Reader] = {
    "pair": Flag(),
    "every": Whole(1, 1_000_000),
    "scale": OneOf(("sum", "count")),
}


def rule_kind(name: str, rule: str, help: str, **options: Reader) -> RuleKind:
    """The row of a weighting rule, whose argument is a list of options."""
    return _rule_kind(name, rule, help, {**options, **_ANY_RULE})


def step_rule_kind(name: str, rule: str, help: str, **options: Reader) -> RuleKind:
    """The same of a rule that reads the gradients of the step: no pair is drawn by its weights,
    because those of all pairs are needed.
    """
    others = {name: read for name, read in _ANY_RULE.items() if name != "pair"}
    return _rule_kind(name, rule, help, {**options, **others})


def _rule_kind(name: str, rule: str, help: str, options: dict[str, Reader]) -> RuleKind:
    read = Options(options, exclusive=("order", "least_squares"))
    form = f"{name}, or {name}: with some of {read}"
    return RuleKind(name, form, help, read, "policies.weighting:build_rule", rule)


def trained_kind(algorithm: str) -> Kind:
    """The row of an algorithm, whose argument says where a training is kept."""
    # Stable-Baselines3 has none of these, so there is no .zip file of them.
    is_own = algorithm in ("group", "meta_gradient", "reinforce", "tensor_ppo")
    read = stored_paths.run_folders if is_own else stored_paths.trained
    return Kind(
        algorithm,
        "ALGO:RUN[,RUN…] with run folders of train_agent.py or patterns of them, or ALGO:FILE.zip",
        f"a trained policy of {', '.join(WITH_POLICY)}; runs that differ in their seed alone are "
        "pooled; a .zip file of Stable-Baselines3 can run code, and needs --trust-checkpoint",
        read,
        "policies.trained.stored:build_stored",
    )


def controller_kind() -> Kind:
    """The row of controllers in files of their own."""
    return Kind(
        "controller",
        "controller:FILE[,FILE…] with files of `autoloss export`, or patterns of them",
        "a trained controller in a file of its own; several are trainings of one kind, and pooled",
        stored_paths.files,
        "policies.trained.stored:build_controllers",
    )
