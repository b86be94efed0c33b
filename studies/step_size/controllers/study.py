"""Step-size controllers against constants, schedules and rules, on families of problems.

Everything is kept in <results>/controllers/: given again after a kill, the part goes on where it
was.
"""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path

from studies.step_size.controllers.families import FAMILIES
from studies.step_size.controllers.picture import draw
from studies.step_size.controllers.playing import Entrant, Table
from studies.step_size.controllers.report import table_of, verdicts
from studies.step_size.controllers.settings import Family
from studies.step_size.controllers.trainings import OpenLoop, Training
from studies.step_size.settings import Settings

_REACT = ("group", "sac")


def run(settings: Settings) -> None:
    """Train, play, print the tables, and draw."""
    size = "quick" if settings.quick else "full"
    panels = {}
    learned = set()
    for name, family in FAMILIES.items():
        chosen = _quick(family) if settings.quick else family
        folder = settings.results / "controllers" / size / name
        entrants = play_family(chosen, folder, min(settings.seeds, family.most_seeds))
        learners = [entrants[row] for row in _REACT if row in entrants]
        print(f"\n### {family.title}\n", flush=True)
        print(table_of(list(entrants.values()), learners))
        for learner in learners:
            print("", *verdicts(list(entrants.values()), learner), sep="\n", flush=True)
        panels[family.title] = list(entrants.values())
        learned |= {each.title for each in learners}
    draw(panels, frozenset(learned), settings.output / "step_size_controllers.png")


def play_family(family: Family, folder: Path, seeds: int) -> dict[str, Entrant]:
    """Train and search what is missing, and play all on the unseen problems."""
    table = Table(family, folder)
    entrants: dict[str, Entrant] = {}
    for name, row in family.rows.items():
        trainings = [Training(family, name, seed, folder) for seed in range(seeds)]
        for each in trainings:
            _timed(each.run, each.own_folder)
        found = table.trained(trainings)
        if row.base:  # the search of its base was the other's
            found = dataclasses.replace(found, training_runs=entrants[row.base].training_runs)
        entrants[name] = found
    for knots in family.knots:
        budget = entrants["group"].training_runs
        searches = [OpenLoop(family, knots, seed, budget, folder) for seed in range(seeds)]
        for search in searches:
            _timed(search.run, search.own_folder)
        entrants[f"open_loop_{knots}"] = table.open_loop(searches)
    for kind in ("constant", "cosine"):
        entrants[kind] = table.best(kind)
    entrants["plain"] = table.plain()
    for title in family.rules:
        entrants[title] = table.rule(title)
    return entrants


def _timed(job: Callable[[], None], folder: Path) -> None:
    started = time.process_time()
    job()
    seconds = time.process_time() - started
    print(f"{folder}: {seconds:.0f} s of a processor", file=sys.stderr, flush=True)


def _quick(family: Family) -> Family:
    """The same at a small size."""
    rows = {}
    for name, row in family.rows.items():
        runs = 48 if row.algo == "group" else 8  # a group update needs whole groups
        options = dict(row.hyperparameters)
        if options.get("search_runs"):
            options["search_runs"] = 512
        if row.algo == "sac":
            options |= {"learning_starts": 64, "batch_size": 16}
        rows[name] = dataclasses.replace(
            row, num_envs=runs, n_timesteps=2 * runs, hyperparameters=options
        )
    return dataclasses.replace(family, rows=rows, choosing=16, episodes=8)
