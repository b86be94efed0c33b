"""The tables of the study, from what was played."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agents.evaluation.rollout import Episodes
from agents.evaluation.statistics import bootstrap
from autoloss_gym.core.task import Task
from studies.markdown import interval, sample_size, table
from studies.mixtures.playing import CANDIDATES, CHOOSING, best_of_each, scores
from studies.mixtures.report import Line, comparison, curve, difference, worth
from studies.mixtures.settings import BLIND, CONTROLLER, MAIN, Family
from studies.mixtures.trainings import Training, cost_of


@dataclass(frozen=True)
class Results:
    """What was played on the unseen problems of a family.

    Args:
        family: the problems.
        task: what is trained on them.
        trainings: of the controller.
        controller, blind, base, open_loop: scores, (trainings, problems).
        chosen_from: constants on validation problems, of which all problems get the best.
        constants, shifts: candidates of which each problem takes its own best.
    """

    family: Family
    task: Task
    trainings: Sequence[Training]
    controller: np.ndarray
    blind: np.ndarray
    base: np.ndarray
    open_loop: np.ndarray
    chosen_from: Sequence[Episodes]
    constants: Sequence[Episodes]
    shifts: Sequence[Episodes]

    @property
    def sign(self) -> int:
        """1 where small scores are good, else −1."""
        return 1 if self.task.score_metrics[0].minimize else -1

    def best_of(self, candidates: Sequence[Episodes]) -> np.ndarray:
        """Scores (k, problems) of the best of k by each problem's own validation."""
        return best_of_each(candidates, self.task.validation_metrics[0].minimize)

    def best_constant(self) -> np.ndarray:
        """Scores (1, problems) of the constant that is best on validation problems."""
        best = int(np.argmin(self.sign * scores(self.chosen_from).mean(axis=1)))
        return scores(self.constants)[best : best + 1]

    def regrets_and_gains(self) -> tuple[np.ndarray, np.ndarray]:
        """How much worse than the best of its shifts an open loop is, and what controllers gain."""
        shifted = scores(self.shifts)
        regrets = self.sign * shifted[0] - (self.sign * shifted).min(axis=0)
        gains = self.sign * (self.controller[:, : shifted.shape[1]].mean(axis=0) - shifted[0])
        return regrets, gains


def main_table(results: Results) -> str:
    """The comparison, and the two curves of what is chosen for each problem."""
    family = results.family
    budget = results.trainings[0].cost()
    search = f"{family.search_runs:,}"
    seconds = float(np.mean([cost_of(each)["seconds"] for each in results.trainings]))
    constants, shifts = results.best_of(results.constants), results.best_of(results.shifts)
    met = results.controller[:, : constants.shape[1]]  # on the problems of the candidates
    choosing = f"{CANDIDATES * CHOOSING:,}"
    lines = [
        Line(MAIN[CONTROLLER].title, results.controller, f"{budget:,}", seconds=seconds),
        Line(MAIN[BLIND].title, results.blind, f"{budget:,}"),
        Line("open loop of the same budget", results.open_loop, f"{budget:,}"),
        Line("the controllers' bases", results.base, search),
        Line(f"best of {CANDIDATES} constants", results.best_constant(), choosing),
        Line("plain training", scores(results.constants)[:1], "0"),
        Line("best of 20 constants of each problem", constants[19:20], "0", 20),
        Line("best of 20 shifted schedules of each", shifts[19:20], f"{budget:,}", 20),
    ]
    lines.sort(key=lambda line: results.sign * line.scores.mean())
    reaction = interval(difference(results.controller, results.blind), "+.3f")
    parts = [
        f"Score: {results.task.score_metrics[0].name}, "
        f"{'low' if results.sign == 1 else 'high'} is good.",
        comparison(lines, results.open_loop, results.sign),
        f"Controllers − blind copies with the same seeds: {reaction}.",
        curve("constants", constants, met),
        curve("shifted schedules", shifts, met),
        f"The controller is worth {worth(constants, met, results.sign)} constants "
        f"and {worth(shifts, met, results.sign)} shifted schedules a problem.",
    ]
    return "\n\n".join(parts)


def ablation_table(
    rows: Mapping[str, Sequence[Training]], played: Mapping[str, np.ndarray], open_loop: np.ndarray
) -> str:
    """One line for each ablation: against the open loop, and against the whole recipe.

    Args:
        rows: trainings by name, "recipe" first.
        played: their scores, (trainings, problems).
        open_loop: of a controller's budget, (trainings, problems).
    """
    header = ["", "n", "score", "− open loop", "− whole recipe", "runs", "CPU s"]
    lines = []
    for name, trainings in rows.items():
        found = played[name]
        loop = open_loop[: len(found)]
        costs = [cost_of(each) for each in trainings]
        lines.append(
            [
                trainings[0].row.title,
                sample_size(found),
                interval(bootstrap(found)),
                interval(difference(found, loop), "+.3f"),
                "" if name == "recipe" else interval(difference(found, played["recipe"]), "+.3f"),
                f"{costs[0]['runs']:,.0f}",
                f"{np.mean([cost['seconds'] for cost in costs]):.0f}",
            ]
        )
    return table(header, lines)
