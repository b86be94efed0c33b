"""The best step size against the number of updates: it grows towards 2 / (L + α)."""

from studies.markdown import table
from studies.step_size.figure import COLORS, new_figure, save
from studies.step_size.settings import Settings, best_step_size, published_problem

_HORIZONS = (1, 2, 5, 10, 20, 40, 80, 160, 320, 640)


def run(settings: Settings) -> None:
    horizons = _HORIZONS[:2] if settings.quick else _HORIZONS
    problems: dict[str, dict[str, tuple[float, ...]]] = {
        "H = diag(4, 1)": {"eigenvalues": (4.0, 1.0), "start": (0.6, 0.8)},
        "d = 20": published_problem(),
    }
    rows = []
    figure, axes = new_figure(1)
    for color, (name, problem) in zip(COLORS, problems.items(), strict=False):
        limit = 2 / (max(problem["eigenvalues"]) + min(problem["eigenvalues"]))
        found = [best_step_size(problem, steps) for steps in horizons]
        rows.append([name, *[f"{each:.6f}" for each in found], f"{limit:.6f}"])
        shares = [each / limit for each in found]
        axes[0].plot(horizons, shares, "o-", color=color, label=name)
    print(table(["problem", *[f"t = {steps}" for steps in horizons], "2 / (L + α)"], rows))
    axes[0].axhline(1, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
    axes[0].set(xscale="log", xlabel="updates t", ylabel="best η in units of 2 / (L + α)")
    axes[0].legend(frameon=False)
    save(figure, settings.output / "step_size_horizon.png")
