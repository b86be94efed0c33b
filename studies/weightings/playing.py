"""What rules, grids and controllers score on the same unseen problems of a bench."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.evaluation.rollout import Episodes
from studies.mixtures.playing import Table, best_of_each
from studies.mixtures.trainings import OpenLoopSearch, Training
from studies.weightings.settings import AGGREGATIONS, GRID, GRID_EACH, Bench

CHOOSING = 8  # validation problems on which the weights of a grid are chosen


@dataclass(frozen=True)
class Entrant:
    """One that is compared.

    Args:
        title: in tables.
        figures: errors above 0, (trainings, problems); the problems are the first of the bench's.
        diverged: share of its runs.
        runs_before: training runs before the first problem.
        runs_each: training runs on each problem.
    """

    title: str
    figures: np.ndarray
    diverged: float = 0.0
    runs_before: int = 0
    runs_each: int = 1


@dataclass(frozen=True)
class Player:
    """Plays a bench, each batch once.

    Args:
        bench: the problems.
        folder: keeps finished batches.
        pool: processes that play; None for this one.
        announce: told of each entrant that has been played.
    """

    bench: Bench
    folder: Path
    pool: Executor | None
    announce: Callable[[str], None] = lambda what: None

    @property
    def table(self) -> Table:
        return Table(self.bench.family, self.folder, self.pool)

    def rules(self, titles: Mapping[str, str], problems: int) -> dict[str, Entrant]:
        """Entrants by their texts, of which aggregations meet at most the bench's number.

        Args:
            titles: of the rules, by text.
            problems: that the others meet.
        """
        found = {}
        for text, title in titles.items():
            met = min(problems, self.bench.aggregated) if text in AGGREGATIONS else problems
            (episodes,) = self.table.written(text, episodes=met)
            found[text] = self._entrant(title, [episodes])
            self.announce(title)
        return found

    def grids(self) -> tuple[dict[str, Entrant], np.ndarray]:
        """Fixed weights for all problems, and for each its own; errors of the best of k of them.

        The best of k is by each problem's own validation, (k, problems), with the candidates in a
        random order.
        """
        text = f"{GRID}:{self.bench.grid}"
        on_validation = self.table.written(text, "validation", CHOOSING)
        best = int(np.argmin([self._errors(each).mean() for each in on_validation]))
        met = min(self.bench.family.candidate_episodes, self.bench.family.episodes)
        played = self.table.written(text, episodes=met)
        count = len(played)
        shuffled = [played[place] for place in np.random.default_rng(0).permutation(count)]
        minimize = self.table.task.validation_metrics[0].minimize
        best_of = self._positive(best_of_each(shuffled, minimize))
        self.announce(text)
        return {
            GRID: Entrant(
                f"best of {count} fixed weights",
                self._errors(played[best])[None],
                _diverged([played[best]]),
                count * CHOOSING,
            ),
            GRID_EACH: Entrant(
                f"best of {count} fixed weights of each problem", best_of[-1:], runs_each=count
            ),
        }, best_of

    def trained(self, title: str, trainings: Sequence[Training]) -> Entrant:
        """Controllers with several seeds."""
        scores = self.table.trained([each.own_folder for each in trainings])
        self.announce(title)
        return Entrant(title, self._positive(scores), runs_before=trainings[0].cost())

    def open_loop(self, title: str, searches: Sequence[OpenLoopSearch]) -> Entrant:
        """The schedules that several searches have found."""
        scores = self.table.schedules([each.load() for each in searches])
        self.announce(title)
        before = searches[0].training_runs
        return Entrant(title, self._positive(scores), runs_before=before)

    def _entrant(self, title: str, played: Sequence[Episodes]) -> Entrant:
        return Entrant(title, np.stack([self._errors(each) for each in played]), _diverged(played))

    def _errors(self, episodes: Episodes) -> np.ndarray:
        return self._positive(episodes.best_scores.astype(np.float64))

    def _positive(self, scores: np.ndarray) -> np.ndarray:
        """Scores as errors whose ratios mean something."""
        return np.exp(scores) if self.bench.in_logs else scores


def _diverged(played: Sequence[Episodes]) -> float:
    return float(np.mean([each.figures["diverged"] for each in played]))
