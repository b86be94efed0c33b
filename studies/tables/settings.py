"""The tables of docs/results/: their environments, policies and sizes."""

from dataclasses import dataclass

SEEDS = 5
_SOFTADAPT = ("softadapt", "softadapt:normalized", "softadapt:pair", "softadapt:pair,normalized")
_STATIC = ("without_penalty", "1:1", "random", "grid:50", "open_loop")
_JOINT = (*_STATIC, "s1", "s2", "s3", *_SOFTADAPT)
_WEIGHTS = ("control=weights",)
_RULES = (
    "equal",
    "softadapt",
    "softadapt:normalized",
    "softadapt:loss_weighted",
    "softadapt:normalized,loss_weighted",
    "dwa",
    "uncertainty",
    "gradnorm",
    "random_weights",
)
_FIXED = ("fixed:0.25", "fixed:0.5", "fixed:2", "fixed:4")
_SPLIT = ("1:1:1", "random", "grid", "open_loop", "softadapt", "softadapt:pair")


@dataclass(frozen=True)
class Table:
    """A table: its environment with arguments, and the policies that play beside the learners."""

    env: str
    env_kwargs: tuple[str, ...]
    policies: tuple[str, ...]
    learners: tuple[str, ...] = ("ppo", "reinforce")
    n_timesteps: tuple[tuple[str, str], ...] = ()  # of a learner, where its default is too few
    episodes: int | None = None  # where a run takes long


# Tables whose runs can be paired with each other.
SAME_PROBLEMS = (("regression", "regression_split"),)

_REGRESSION = "AutoLoss/QuadraticRegression-v1"
_CLASSIFICATION = "AutoLoss/MLPClassification-v1"
TABLES = {
    "regression": Table(_REGRESSION, (), ("always:mse", "grid_each", *_JOINT)),
    "regression_split": Table(
        _REGRESSION, ("penalty=split",), _SPLIT, n_timesteps=(("ppo", "1.2e6"),)
    ),
    "diabetes": Table(
        _REGRESSION,
        ("dataset=diabetes",),
        ("always:mse", "grid_each", *_STATIC, *_SOFTADAPT),
        ("ppo",),
    ),
    "make_classification": Table(_CLASSIFICATION, (), ("always:cross_entropy", *_JOINT)),
    "paper_classification": Table(
        _CLASSIFICATION, ("dataset=paper",), ("always:cross_entropy", *_JOINT)
    ),
    "breast_cancer": Table(
        _CLASSIFICATION, ("dataset=breast_cancer",), ("always:cross_entropy", *_JOINT)
    ),
    "weights_regression": Table(
        _REGRESSION, _WEIGHTS, (*_RULES, "random", "open_loop", "grid:50"), ("ppo",)
    ),
    "weights_rosenbrock": Table("AutoLoss/Rosenbrock-v1", _WEIGHTS, _RULES, ("ppo",)),
    "weights_beale": Table("AutoLoss/Beale-v1", _WEIGHTS, _RULES, ("ppo",)),
    "weights_autoencoder": Table(
        "AutoLoss/SparseAutoencoder-v1", _WEIGHTS, (*_RULES, *_FIXED), ("ppo",), episodes=40
    ),
}


@dataclass(frozen=True)
class Size:
    """How much is trained and played; None leaves the learners their own number of steps."""

    seeds: int
    episodes: int
    split: str
    n_timesteps: str | None = None
    policies: tuple[str, ...] | None = None


FULL = Size(SEEDS, 200, "test")
QUICK = Size(1, 4, "validation", "2000", ("round_robin", "random:0.3", "softadapt"))
