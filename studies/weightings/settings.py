"""The rules that are compared, and the tasks on which they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from studies.mixtures.settings import Family

PINN = "AutoLoss/PINN-v0"
EQUAL = "equal"
GRID, GRID_EACH = "grid", "grid_each"
CONTROLLER, BLIND, OPEN_LOOP = "controller", "blind", "open_loop"

# As evaluate.py has them, with their titles; all observe one run alone and need no run before.
RULES = {
    EQUAL: "equal weights",
    "softadapt": "SoftAdapt",
    "softadapt:loss_weighted": "SoftAdapt, loss-weighted",
    "relobralo": "ReLoBRaLo",
    "dwa": "Dynamic Weight Average",
    "uncertainty": "uncertainties",
    "imtl": "IMTL-L",
    "cov": "CoV-Weighting",
    "famo": "FAMO",
    "self_adaptive": "self-adaptive weights",
    "gradnorm": "GradNorm",
    "annealing": "gradient annealing",
    "random_weights": "random weights",
}
# Aggregations of gradients, on fewer problems: solvers make a step several times as long. CAGrad
# and Nash-MTL are left out: theirs take tens of times as long.
AGGREGATIONS = {
    "pcgrad": "PCGrad",
    "mgda": "MGDA",
    "imtl_g": "IMTL-G",
    "aligned_mtl": "Aligned-MTL",
    "upgrad": "UPGrad",
}
RANKED = {**RULES, **AGGREGATIONS}
# Asks for the points at which a loss is a mean square; traces every 100 steps, as its authors do.
RULES_OF_RESIDUALS = {"ntk:every=100": "NTK weights"}


@dataclass(frozen=True)
class Bench:
    """Problems of a task on which rules are compared.

    Args:
        title: in headings.
        family: the problems, and what a controller's training spends on them.
        grid: values of each free weight of the grid.
        aggregated: problems on which aggregations are played.
        has_residuals: whether `RULES_OF_RESIDUALS` can be played.
        in_logs: whether the score is the logarithm of an error already.
        kind: benches of one kind count together as one task in the ranks.
    """

    title: str
    family: Family
    grid: int
    aggregated: int
    has_residuals: bool = False
    in_logs: bool = False
    kind: str = ""

    @property
    def titles(self) -> dict[str, str]:
        """Of all rules that are played, as evaluate.py has them."""
        own = RULES_OF_RESIDUALS if self.has_residuals else {}
        return {**RULES, **own, **AGGREGATIONS}


def _physics(equation: str, title: str, episodes: int, grid: int = 5, updates: int = 0) -> Bench:
    family = Family(
        env=PINN,
        env_kwargs={"preset": equation},
        num_envs=96,
        updates=updates,
        search_runs=360,
        outcome="validation",
        episodes=episodes,
        candidate_episodes=min(episodes, 32),
    )
    return Bench(
        title, family, grid, aggregated=min(episodes, 32), has_residuals=True, kind="physics"
    )


def _untrained(
    env: str, env_kwargs: Mapping[str, Any], episodes: int, candidate_episodes: int
) -> Family:
    """Problems on which no controller is trained."""
    return Family(
        env, env_kwargs, 0, 0, 0, episodes=episodes, candidate_episodes=candidate_episodes
    )


BENCHES = {
    "oscillator": _physics("oscillator", "PINN-v0: damped oscillator", episodes=200),
    "poisson": _physics("poisson", "PINN-v0: Poisson's equation", episodes=100, updates=3),
    "burgers": _physics("burgers", "PINN-v0: Burgers' equation", episodes=32, grid=3),
    "helmholtz": _physics("helmholtz", "PINN-v0: Helmholtz' equation", episodes=16, grid=3),
    "autoencoder": Bench(
        "SparseAutoencoder-v1, mixture",
        _untrained("AutoLoss/SparseAutoencoder-v1", {"preset": "mixture"}, 96, 32),
        grid=20,
        aggregated=32,
        in_logs=True,
        kind="autoencoder",
    ),
    "classification": Bench(
        "MLPClassification-v1, mixture",
        _untrained("AutoLoss/MLPClassification-v1", {"preset": "mixture"}, 200, 64),
        grid=20,
        aggregated=32,
        in_logs=True,
        kind="classification",
    ),
    "translation": Bench(
        "MultiTaskTranslation-v0, 100 updates of all three losses",
        _untrained("AutoLoss/MultiTaskTranslation-v0", {"max_steps": 100}, 12, 12),
        grid=3,
        aggregated=12,
        kind="translation",
    ),
}
