"""Policies as they are written on the command line, one row of a table a kind.

A row says how a policy is written, what it does, how its argument is read, and who builds it. Help,
checks and errors come from the table. Nothing slow is imported.
"""

from autoloss_gym.tools.names import shown, unknown

from ..configuration import WITH_POLICY
from . import arguments, mixtures
from .arguments import Flag, Number, Whole
from .gradient_kinds import aggregation_kinds, gradient_rule_kinds
from .kinds import Kind, Specification, help_text
from .paper_kinds import compared_kinds, introspective_kind, online_kind
from .rule_kinds import balancing_kinds
from .search_arguments import Searched
from .several_kinds import controller_kind, rule_kind, trained_kind

_RUNS = 10_000  # of a search; more find little that is better
_MOST_KNOTS = 100  # of a searched schedule
_MOST_SIZE = 1000  # points of a grid: with three pairs they make a million policies
_FACTOR = Number(1e-30, 1e6)  # on a learning rate


def parse_specification(text: str) -> Specification:
    """Read one policy; ValueError if there is no such kind, or its argument is bad."""
    name, colon, argument = text.partition(":")
    if name in KINDS:
        kind = KINDS[name]
    elif name.isdecimal() and colon:
        kind = KINDS["K:L"]
        argument = text
    elif arguments.names_a_module(text):
        kind = KINDS["module:Class"]
        argument = text
    else:
        nor_module = f"; and there is no module {name!r}" if colon else ""
        raise ValueError(unknown("policy", name, KINDS) + nor_module)

    try:
        value = kind.read(argument)
    except ValueError as error:
        raise ValueError(f"policy {shown(text)}: expected {kind.form} ({error})") from None
    return Specification(text, kind, value)


_ROWS = (
    Kind(
        "round_robin",
        "round_robin",
        "every pair in turn, the same as 1:1",
        arguments.nothing,
        "policies.schedules:build_round_robin",
    ),
    Kind(
        "K:L",
        "K:L, or K:L:… with a whole number for each pair, not all 0",
        "K updates of the first pair, then L of the second, and so on",
        arguments.counts,
        "policies.schedules:build_ratio",
    ),
    Kind(
        "ratios",
        "ratios",
        "the best of 1:1, 1:K and K:1 for K = 3, 5, 7, 9, 11 on validation problems; for two pairs",
        arguments.nothing,
        "policies.schedules:build_ratios",
    ),
    Kind(
        "always",
        "always:LOSS with the name of a loss",
        "one pair only",
        arguments.any_text,
        "policies.schedules:build_always",
    ),
    Kind(
        "random",
        "random, random:P with P between 0 and 1, random:P1,P2,… that sum to 1, or random:R1:R2:… "
        "with a positive number for each pair",
        "the first pair with probability P, else one of the others; or pairs with probabilities "
        "∝ R1, R2, … (AutoLoss: FixedRatio); without P, the best of a grid on validation problems",
        arguments.optional(mixtures.probabilities_or_mixture),
        "policies.schedules:build_random",
    ),
    Kind(
        "fixed",
        "fixed:R or fixed:W1,W2,… with numbers of at least 0 and below 1e6, not all 0",
        "all losses at once, weighted 1 : R (R times the task's own coefficient) or by W1 : W2 : …",
        arguments.weights,
        "policies.schedules:build_fixed",
    ),
    Kind(
        "grid",
        f"grid or grid:N with N of at least 2 and at most {_MOST_SIZE}",
        "fixed:R with the best of N values of R on validation problems (default 20, with three "
        "pairs 13 × 13; AutoLoss/IntroVAE-v0 in parts has one for both adversarial parts, "
        "AutoLoss/PINN-v0 one for all conditions)",
        arguments.optional(Whole(2, _MOST_SIZE)),
        "policies.schedules:build_grid",
    ),
    Kind(
        "grid_each",
        f"grid_each or grid_each:N with N of at least 2 and at most {_MOST_SIZE}",
        "fixed:R with the best of N values of R on each problem's own validation part: N trainings "
        "a problem",
        arguments.optional(Whole(2, _MOST_SIZE)),
        "policies.schedules:build_grid_each",
    ),
    Kind(
        "constant",
        f"constant or constant:K with K of at least 1 and at most {_MOST_SIZE}",
        "all losses at once, with constant weights and a constant step size: the best of K "
        "constants (default 50) on validation problems, spread widely: nearly all weights are "
        "within a factor of 90, step sizes of 7; probabilities of pairs instead of weights where "
        "no parameters belong to two losses",
        arguments.optional(Whole(1, _MOST_SIZE), default=50),
        "policies.searched:build_constant",
    ),
    Kind(
        "constant_each",
        f"constant_each or constant_each:K with K of at least 1 and at most {_MOST_SIZE}",
        "the same with the best of K constants (default 20) on each problem's own validation part: "
        "K trainings a problem",
        arguments.optional(Whole(1, _MOST_SIZE), default=20),
        "policies.searched:build_constant_each",
    ),
    Kind(
        "step",
        f"step or step:F with F {_FACTOR}",
        "all losses at once with weight 1, and F times the learning rate; without F, the best of "
        "41 from 0.01 to 100 on validation problems",
        arguments.optional(_FACTOR),
        "policies.step_sizes:build_step",
    ),
    Kind(
        "cosine",
        f"cosine or cosine:F with F {_FACTOR}",
        "the same with F·(1 + cos(π t/T))/2 times the learning rate after t of T updates",
        arguments.optional(_FACTOR),
        "policies.step_sizes:build_cosine",
    ),
    Kind(
        "schedule",
        f"schedule, schedule:K or schedule:K,N with K of at least 1 and at most {_MOST_KNOTS}",
        "weights and step size that change with progress, log-linear between K knots (default 4), "
        f"found by CMA-ES in at most N training runs on training problems (default {_RUNS:,}); "
        "probabilities like constant",
        Searched(Whole(1, _MOST_KNOTS), 4, _RUNS),
        "policies.searched:build_schedule",
    ),
    Kind(
        "shifted_each",
        f"shifted_each, shifted_each:K or shifted_each:K,N with K of at least 1 and at most "
        f"{_MOST_SIZE}",
        "the best of K shifts (default 20) of the weights and the step size of schedule:4,N on "
        "each problem's own validation part: K trainings a problem",
        Searched(Whole(1, _MOST_SIZE), 20, _RUNS),
        "policies.searched:build_shifted_each",
    ),
    Kind(
        "open_loop",
        f"open_loop, open_loop:K or open_loop:K,N with K of at least 2 and at most {_MOST_KNOTS}",
        "probabilities of pairs that change with progress, linear between K knots (default 4), "
        f"found like schedule in at most N training runs (default {_RUNS:,})",
        Searched(Whole(2, _MOST_KNOTS), 4, _RUNS),
        "policies.searched:build_open_loop",
    ),
    Kind(
        "without_penalty",
        "without_penalty",
        "the first pair only, trained on the training and the validation part together (AutoLoss: "
        "W/O L1)",
        arguments.nothing,
        "policies.schedules:build_without_penalty",
    ),
    *compared_kinds(),
    online_kind(),
    Kind(
        "balance",
        "balance or balance:R with a number R above 0 and below 1e6",
        "train whoever is losing: the pair whose latest loss is the largest, the first counted R "
        "times (default 1)",
        arguments.optional(arguments.factor, default=1.0),
        "policies.balance:build_balance",
    ),
    rule_kind(
        "softadapt",
        "softadapt:SoftAdapt",
        "SoftAdapt (Heydari et al.); order=1 to 4 takes differences of that order for slopes, "
        "least_squares=K the slope of a line through K values",
        normalized=Flag(),
        loss_weighted=Flag(),
        beta=Number(-1e6, 1e6),
        order=Whole(1, 4),
        least_squares=Whole(2, 10_000),
    ),
    rule_kind(
        "dwa",
        "dynamic_weight_average:DynamicWeightAverage",
        "Dynamic Weight Average (Liu et al.)",
        temperature=Number(1e-6, 1e6),
        window=Whole(1, 10_000),
    ),
    rule_kind(
        "uncertainty",
        "uncertainty:UncertaintyWeighting",
        "learned uncertainties (Kendall et al.)",
        learning_rate=Number(1e-9, 1e3),
    ),
    rule_kind(
        "gradnorm",
        "gradnorm:GradNorm",
        "GradNorm (Chen et al.), with the norms by each pair's own parameters",
        alpha=Number(0, 100),
        learning_rate=Number(1e-9, 1e3),
    ),
    rule_kind("equal", "equal:Equal", "equal weights"),
    rule_kind(
        "random_weights",
        "random_weights:RandomLossWeighting",
        "the softmax of normal draws, new at every step (Lin et al.)",
    ),
    *balancing_kinds(),
    *gradient_rule_kinds(),
    *aggregation_kinds(),
    introspective_kind(),
    *[trained_kind(algorithm) for algorithm in WITH_POLICY],
    controller_kind(),
    Kind(
        "module:Class",
        "module:Class with a class of your own",
        "a policy, called with the task, or a subclass of autoloss_gym.weightings.WeightingRule; "
        "see docs/guides/add_a_policy.md",
        arguments.own_class,
        "policies.own_class:build_own_class",
    ),
)
KINDS = {kind.name: kind for kind in _ROWS}


_RULES_HELP = (
    "Weighting rules weight all losses at every step. With pair they draw one pair with these "
    "weights instead; every=K keeps the weights for K steps; scale=sum or scale=count makes them "
    "sum to 1 or to the number of losses."
)
HELP = help_text(_ROWS, _RULES_HELP)
