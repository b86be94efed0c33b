"""The picture of the controllers: the scores of all entrants, a panel for each family."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.evaluation.statistics import bootstrap
from studies.step_size.controllers.playing import Entrant
from studies.step_size.figure import COLORS, new_figure, save


def draw(panels: Mapping[str, Sequence[Entrant]], learned: frozenset[str], path: Path) -> None:
    """Mean scores with 95 % intervals over trainings and problems.

    Args:
        panels: the entrants of each family, by its title.
        learned: titles of the entrants that react to what they observe.
        path: of the picture.
    """
    figure, axes = new_figure(len(panels))
    for panel, (title, entrants) in zip(axes, panels.items(), strict=True):
        ordered = sorted(entrants, key=lambda each: each.scores.mean())
        for place, entrant in enumerate(ordered):
            found = bootstrap(entrant.scores)
            error = [[found.value - found.low], [found.high - found.value]]
            color = COLORS[1] if entrant.title in learned else COLORS[0]
            panel.errorbar(found.value, place, xerr=error, fmt="o", color=color, capsize=2)
        panel.set_yticks(range(len(ordered)), [each.title for each in ordered], fontsize=7)
        panel.invert_yaxis()
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("score (low is good)")
    save(figure, path)
