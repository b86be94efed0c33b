"""The picture of the study: similarity and samples in the course of training."""

from pathlib import Path

from autoloss_gym.tools.files import replacing
from studies.intro_vae.report import Curves
from studies.intro_vae.settings import SHOWN

_PANELS = {
    "structural_similarity": "SSIM of reconstructions",
    "frechet_distance": "Fréchet distance of samples",
}
_GREY = "#c3c9cf"


def draw(curves: Curves, path: Path) -> None:
    """Draw means over the runs, the rows of `SHOWN` in colours and the others in grey."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (slow to import)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9, 4.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(_PANELS))
    for axes, (metric, title) in zip(panels, _PANELS.items(), strict=True):
        for name in sorted(curves.scores, key=lambda name: name in SHOWN):  # colours above grey
            label = curves.titles[name] if name in SHOWN else None
            style = {"color": SHOWN.get(name, _GREY), "linewidth": 1.8 if label else 1.0}
            if label is None and not axes.lines:
                label = "other rows of the tables"
            axes.plot(curves.steps, curves.of(name, metric).mean(axis=1), label=label, **style)
        axes.set(xlabel="step of both players", title=title)
        axes.spines[["top", "right"]].set_visible(False)
    panels[1].set_yscale("log")  # collapses are far above the others
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize="small",
    )
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
