"""Rows of the table of policies that weigh by the gradients of the very step."""

from . import arguments
from .arguments import Number
from .kinds import Kind
from .several_kinds import step_rule_kind

# What each does, in a line.
_HELP = {
    "pcgrad": "each gradient without what conflicts with the others, summed (Yu et al.)",
    "mgda": "the shortest vector among the averages of the gradients (Sener and Koltun)",
    "nash_mtl": "the Nash bargaining solution, with a norm of at most 1 (Navon et al.)",
    "aligned_mtl": "gradients made orthogonal and equally long (Senushkin et al.)",
    "imtl_g": "the direction with equal projections on all gradients (Liu et al.)",
    "upgrad": "the mean of the gradients, each first projected so that it conflicts with none "
    "(Quinton and Rey)",
}
_NOTE = "; by TorchJD, extra mtl"
_BUILDER = "policies.aggregation:build_aggregation"


def aggregation_kinds() -> tuple[Kind, ...]:
    """One row for each aggregator."""
    cagrad = Kind(
        "cagrad",
        "cagrad or cagrad:C with C from 0 to 1",
        "the direction within C times the mean gradient's norm of it (default 0.5) that is best "
        f"for the worst loss (Liu et al.){_NOTE}",
        arguments.optional(Number(0, 1), default=0.5),
        _BUILDER,
    )
    others = []
    for name, help in _HELP.items():
        others.append(Kind(name, name, help + _NOTE, arguments.nothing, _BUILDER))
    return (*others, cagrad)


def gradient_rule_kinds() -> tuple[Kind, ...]:
    """Rules that read more of the gradients than their norms."""
    return (
        step_rule_kind(
            "annealing",
            "gradient_annealing:GradientAnnealing",
            "learning-rate annealing for physics-informed networks (Wang, Teng, Perdikaris): each "
            "loss weighted by the largest gradient of the first over its own mean gradient",
            alpha=Number(0, 1),
        ),
        step_rule_kind(
            "ntk",
            "ntk_weights:NTKWeights",
            "weights by traces of neural tangent kernels (Wang, Yu, Perdikaris), for tasks that "
            "give residuals; every=K measures them, one backward a point, at every K-th step",
        ),
    )
