"""Two families of quadratics, and classifications."""

from typing import Literal

from autoloss_gym.optimizers import BarzilaiBorwein
from studies.step_size.controllers.settings import Family, group, meta_constant, sac

_CURVATURE_RULES = {
    "Barzilai–Borwein, long": {"step": "barzilai_borwein_1"},
    "Barzilai–Borwein, short": {"step": "barzilai_borwein_2"},
    "exact line search": {"step": "exact"},
}
_QUADRATIC = "AutoLoss/QuadraticStepSize-v0"
_MANY = {"weights": False, "every": 4}  # at each validation
_QUADRATIC_ROWS = {
    **group(20, _MANY, num_envs=1152, updates=30, search_runs=10_000, search_problems=32),
    "meta_gradient": meta_constant(num_envs=64, meta_steps=200),
}
# Fewer runs, which take more time than all of the group's: it learns at every step.
_SAC = sac(repeat=4, step_size_range=10.0, runs=9_600, updates=80)


def _barzilai_borwein(form: Literal["long", "short"]) -> BarzilaiBorwein:
    # From 1e-4 to 1: as far from Adam's learning rate of 1e-2 in both directions.
    return BarzilaiBorwein(form=form, learning_rate=1e-2, lower=1e-4, upper=1.0)


FAMILIES = {
    "quadratics": Family(
        title="quadratics, 80 steps",
        env=_QUADRATIC,
        env_kwargs={},
        rows=_QUADRATIC_ROWS,
        knots=(20,),
        rules=_CURVATURE_RULES,
    ),
    "quadratic_mixture": Family(
        title="quadratics, mixture",
        env=_QUADRATIC,
        env_kwargs={"preset": "mixture"},
        rows={**_QUADRATIC_ROWS, "sac": _SAC},
        knots=(4, 20),
        rules=_CURVATURE_RULES,
    ),
    "classification": Family(
        title="classifications, mixture",
        env="AutoLoss/MLPClassification-v1",
        env_kwargs={"preset": "mixture"},
        rows={
            **group(3, {"weights": False}, 384, updates=8, search_runs=2_048, search_problems=16),
            # Forward, as the graph of 200 updates takes much memory; few and large meta-steps.
            "meta_gradient": meta_constant(
                16, meta_steps=32, differentiation="forward", meta_learning_rate=0.1
            ),
        },
        knots=(4,),
        rules={
            f"Barzilai–Borwein, {form}": {"optimizer": _barzilai_borwein(form)}
            for form in ("long", "short")
        },
        choosing=128,
        most_seeds=3,
    ),
}
