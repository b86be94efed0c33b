"""The picture of the schedules, as Figure 3 (M) of AutoLoss: which pair is chosen when."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from studies.step_size.figure import COLORS, new_figure, save
from studies.translation.playing import Entrant
from studies.translation.report import Played
from studies.translation.settings import FIXED_RATIO, GROUP, MT, ONLINE, OPEN_LOOP, PPO

_DRAWN = (MT, FIXED_RATIO, OPEN_LOOP, PPO, GROUP, ONLINE)
_WINDOWS = 24  # of a run, in which shares are averaged


def draw(played: Sequence[Played], pairs: Sequence[str], path: Path) -> None:
    """A panel for each pair, of the budget with most of the policies that are drawn.

    Args:
        played: of each budget.
        pairs: names of the pairs.
        path: of the picture.
    """
    shown = max(played, key=lambda each: sum(name in each.entrants for name in _DRAWN))
    entrants = [shown.entrants[name] for name in _DRAWN if name in shown.entrants]
    figure, axes = new_figure(len(pairs))
    for index, (panel, pair) in enumerate(zip(axes, pairs, strict=True)):
        for entrant in entrants:
            updates, shares = smoothed(entrant, index)
            color = COLORS[_DRAWN.index(entrant.name)]
            panel.plot(updates, shares, color=color, label=entrant.title.replace("`", ""))
        panel.set_title(pair.replace("_", " "), fontsize=9)
        panel.set_xlabel(f"update of {shown.budget:,}")
        panel.set_ylim(-0.02, 1.02)
    axes[0].set_ylabel("share of the updates")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8, frameon=False
    )
    save(figure, path)


def smoothed(entrant: Entrant, pair: int) -> tuple[np.ndarray, np.ndarray]:
    """The middles of windows, and the pair's mean share in each of them, (windows,) both."""
    share = entrant.shares[:, pair]
    windows = np.array_split(np.arange(len(share)), min(_WINDOWS, len(share)))
    middles = np.array([each.mean() + 0.5 for each in windows])
    return middles, np.array([np.nanmean(share[each]) for each in windows])
