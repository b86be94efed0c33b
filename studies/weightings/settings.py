"""The rules that are compared, and the tasks on which they are."""

from dataclasses import dataclass

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
    "pcgrad": "PCGrad",
    "cagrad": "CAGrad",
    "mgda": "MGDA",
    "imtl_g": "IMTL-G",
    "aligned_mtl": "Aligned-MTL",
    "nash_mtl": "Nash-MTL",
    "upgrad": "UPGrad",
}
# Rules that ask for the points at which a loss is a mean square.
RULES_OF_RESIDUALS = {"ntk": "NTK weights"}


@dataclass(frozen=True)
class Bench:
    """Problems of a task on which rules are compared.

    Args:
        title: in headings.
        family: the problems, and what a controller's training spends on them.
        grid: values of each free weight of the grid.
        has_residuals: whether `RULES_OF_RESIDUALS` can be played.
        in_logs: whether the score is the logarithm of an error already.
        kind: benches of one kind count together as one task in the ranks.
    """

    title: str
    family: Family
    grid: int
    has_residuals: bool = False
    in_logs: bool = False
    kind: str = ""

    @property
    def rules(self) -> dict[str, str]:
        """Rules by their titles, as evaluate.py has them."""
        return {**RULES, **(RULES_OF_RESIDUALS if self.has_residuals else {})}


def _physics(equation: str, title: str, updates: int) -> Bench:
    family = Family(
        env=PINN,
        env_kwargs={"preset": equation},
        num_envs=192,
        updates=updates,
        search_runs=960,
        outcome="validation",
        episodes=200,
        candidate_episodes=64,
    )
    return Bench(title, family, grid=7, has_residuals=True, kind="physics")


BENCHES = {
    "oscillator": _physics("oscillator", "PINN-v0: damped oscillator", updates=10),
    "poisson": _physics("poisson", "PINN-v0: Poisson's equation", updates=10),
    "burgers": _physics("burgers", "PINN-v0: Burgers' equation", updates=5),
    "helmholtz": _physics("helmholtz", "PINN-v0: Helmholtz' equation", updates=5),
    "autoencoder": Bench(
        "SparseAutoencoder-v1, mixture",
        Family("AutoLoss/SparseAutoencoder-v1", {"preset": "mixture"}, 0, 0, 0, episodes=200),
        grid=25,
        in_logs=True,
        kind="autoencoder",
    ),
    "classification": Bench(
        "MLPClassification-v1, mixture",
        Family("AutoLoss/MLPClassification-v1", {"preset": "mixture"}, 0, 0, 0, episodes=200),
        grid=25,
        in_logs=True,
        kind="classification",
    ),
    "translation": Bench(
        "MultiTaskTranslation-v0, 100 updates of all three losses",
        Family("AutoLoss/MultiTaskTranslation-v0", {"max_steps": 100}, 0, 0, 0, episodes=12),
        grid=3,
        kind="translation",
    ),
}
