"""Controllers of the regression family on problems that they were not trained for."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.evaluation.statistics import bootstrap
from studies.markdown import interval, table
from studies.mixtures.playing import Table, best_of_each
from studies.mixtures.report import difference, worth
from studies.mixtures.settings import CONTROLLER, FAMILIES
from studies.mixtures.trainings import schedule_of

_ELSEWHERE: dict[str, Mapping[str, Any]] = {
    "dimension 16": {"dimension": 16},
    "noise 4 to 12": {"noise": (4.0, 12.0)},
    "400 updates": {"max_steps": 400},
    "real tables": {"preset": "tables"},
}


def table_of(folder: Path, seeds: int, pool: Executor | None) -> str:
    """A line for each other family: controller, its base, and constants of each problem.

    Args:
        folder: of the regression family, whose controllers are trained.
        seeds: trainings.
        pool: processes that play.
    """
    family = FAMILIES["regression"]
    folders = [folder / CONTROLLER / str(seed) for seed in range(seeds)]
    bases = [schedule_of(each) for each in folders]
    header = ["family", "controller", "its base", "difference", "worth constants"]
    lines = []
    for title, changes in _ELSEWHERE.items():
        other = replace(
            family,
            env_kwargs={**family.env_kwargs, **changes},
            episodes=512,
            candidate_episodes=512,
        )
        played = Table(other, folder / "transfer" / title.replace(" ", "_"), pool)
        controller, base = played.trained(folders), played.schedules(bases)
        constants = played.candidates(played.plain)
        task = played.task
        best = best_of_each(constants, task.validation_metrics[0].minimize)
        sign = 1 if task.score_metrics[0].minimize else -1
        lines.append(
            [
                f"{title} ({task.score_metrics[0].name})",
                interval(bootstrap(controller)),
                interval(bootstrap(base)),
                interval(difference(controller, base), "+.3f"),
                str(worth(best, controller, sign)),
            ]
        )
    return table(header, lines)
