"""Tables and the picture of a comparison."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers.protocol import Turn
from studies.markdown import quartiles, table


class Entry(NamedTuple):
    """A side with a number of runs; `runs` is 0 where it has one and can have no more."""

    side: str
    runs: int

    @property
    def label(self) -> str:
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        return f"{self.side}, {runs}" if self.runs else self.side


Measured = Mapping[Entry, Sequence[Turn]]


def rates(turns: Sequence[Turn], clock: str = "processor") -> np.ndarray:
    """Training steps of all runs in a second of a clock, of every turn."""
    return np.array([turn.steps / getattr(turn, clock) for turn in turns])


def speed(title: str, measured: Measured, clock: str, loop: str, peer: str) -> str:
    """Steps a second of every side, and their ratios within a turn to two others.

    Args:
        title: of the table.
        measured: turns of every side.
        clock: "processor" or "wall".
        loop: a side of one run.
        peer: a side with as many runs; no ratio where it has not.
    """
    header = [title, "steps a second", f"× {loop}", "by the wall", f"× {peer}, as many runs"]
    rows = []
    for entry, turns in measured.items():
        own = rates(turns, clock)
        to_loop = own / rates(measured[Entry(loop, 0)], clock)
        walls = rates(turns, "wall") / rates(measured[Entry(loop, 0)], "wall")
        beside = measured.get(Entry(peer, entry.runs))
        to_peer = quartiles(own / rates(beside, clock)) if beside else "–"
        row = [entry.label, f"{np.median(own):,.0f}", quartiles(to_loop), f"{np.median(walls):.2f}"]
        rows.append([*row, to_peer])
    return table(header, rows)


def memory(title: str, figures: Mapping[str, tuple[float, float]], sizes: tuple[int, int]) -> str:
    """Kilobytes of every side's run: of its state, and by which each run raises the peak.

    Args:
        title: of the table.
        figures: bytes of both kinds.
        sizes: numbers of runs between which the peak was compared.
    """
    header = [title, "state, kB", f"peak, from {sizes[0]} to {sizes[1]} runs, kB"]
    rows = [[side, f"{a / 1000:.0f}", f"{b / 1000:.0f}"] for side, (a, b) in figures.items()]
    return table(header, rows)


def draw(measured: Mapping[str, Measured], clock: str, path: Path) -> None:
    """Steps a second against the number of runs; what has one run is a line across."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (slow to import, needed at the end alone)

    figure = Figure(figsize=(6.4 * len(measured), 4.6), layout="constrained")
    panels = figure.subplots(1, len(measured), squeeze=False)[0]
    for axes, (task, entries) in zip(panels, measured.items(), strict=True):
        _draw(axes, entries, clock)
        axes.set(xscale="log", yscale="log", title=task)
        axes.set(xlabel="runs at once", ylabel="training steps a second")
        axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=120)


def _draw(axes: Any, entries: Measured, clock: str) -> None:
    lines: dict[str, list[tuple[int, float]]] = {}
    for entry, turns in entries.items():
        lines.setdefault(entry.side, []).append((entry.runs, float(np.median(rates(turns, clock)))))
    styles = iter("ov^s*DPX<>" * 2)
    dashes = iter(((0, (6, 2)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (8, 1)), "--", "-.", ":") * 2)
    for side, points in lines.items():
        sizes, values = zip(*points, strict=True)
        if sizes == (0,):
            axes.axhline(values[0], linestyle=next(dashes), color="gray", linewidth=1, label=side)
        else:
            axes.plot(sizes, values, marker=next(styles), markersize=5, linewidth=1.2, label=side)
