"""Whether a controller of few decisions beats schedules and searches on families of problems.

    python -m studies.mixtures                          # every family: trainings, tables, picture
    python -m studies.mixtures regression --ablations   # and one row for each part of the recipe
    python -m studies.mixtures regression --transfer    # and its controllers on other problems
    python -m studies.mixtures --quick                  # the same at a small size: does it run?

Everything is kept in <output>/<family>/: given again after a kill, a command goes on where it was.
"""

import argparse
import dataclasses
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from agents.command_line import OneLineParser
from agents.evaluation.workers import worker_processes
from agents.interruption import goes_on
from agents.options import positive
from autoloss_gym.tools.names import unknown
from studies.mixtures import transfer
from studies.mixtures.figure import draw
from studies.mixtures.playing import Table
from studies.mixtures.settings import (
    ABLATION_UPDATES,
    ABLATIONS,
    BLIND,
    CONTROLLER,
    FAMILIES,
    MAIN,
    Family,
)
from studies.mixtures.tables import Results, ablation_table, main_table
from studies.mixtures.trainings import OpenLoopSearch, Training, run_all, schedule_of


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "families", nargs="*", metavar="FAMILY", help=f"{', '.join(FAMILIES)} (default: all)"
    )
    parser.add_argument("--ablations", action="store_true", help="train and play the ablations")
    parser.add_argument("--transfer", action="store_true", help="play on other problems too")
    parser.add_argument("--seeds", type=positive, default=5, help="trainings a row (default: 5)")
    parser.add_argument(
        "--ablation-seeds", type=positive, default=3, help="the same for ablations (default: 3)"
    )
    parser.add_argument("--processes", type=positive, default=2, help="at once (default: 2)")
    parser.add_argument("--quick", action="store_true", help="few and small trainings")
    parser.add_argument("--picture", type=Path, help="where the picture of who gains is written")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("results/mixtures"), help="where all is kept"
    )
    arguments = parser.parse_args()
    for name in arguments.families:
        if name not in FAMILIES:
            parser.error(unknown("family", name, FAMILIES))
    return arguments


def run() -> None:
    arguments = parse_arguments()
    goes_on(lambda: f"{arguments.output} holds what is finished: the same command goes on with it")
    panels: dict[str, Any] = {}
    with worker_processes(arguments.processes) as pool:
        for name in dict.fromkeys(arguments.families or FAMILIES):
            family = _quick(FAMILIES[name]) if arguments.quick else FAMILIES[name]
            folder = arguments.output / ("quick" if arguments.quick else "full") / name
            results = _main(family, folder, arguments, pool)
            print(f"\n## {name}\n\n{main_table(results)}", flush=True)
            panels[name] = results.regrets_and_gains()
            if arguments.ablations:
                print(f"\n{_ablations(family, folder, arguments, results, pool)}", flush=True)
            if arguments.transfer:
                print(f"\n{transfer.table_of(folder, arguments.seeds, pool)}", flush=True)
    if arguments.picture:
        draw(panels, arguments.picture)


def _main(
    family: Family, folder: Path, arguments: argparse.Namespace, pool: Executor | None
) -> Results:
    """Train and play what the first table needs."""
    controllers = _trainings(family, folder, CONTROLLER, arguments.seeds)
    blind = _trainings(family, folder, BLIND, arguments.seeds)
    budget = controllers[0].cost()
    seeds = range(arguments.seeds)
    loops = [OpenLoopSearch(family, seed, budget, folder) for seed in seeds]
    run_all([*(each.run for each in controllers), *(each.run for each in loops)], pool)
    run_all([each.run for each in blind], pool)  # these need the bases of the controllers

    table = Table(family, folder, pool)
    schedules = [each.load() for each in loops]
    return Results(
        family=family,
        trainings=controllers,
        controller=table.trained([each.own_folder for each in controllers]),
        blind=table.trained([each.own_folder for each in blind]),
        base=table.schedules([schedule_of(each.own_folder) for each in controllers]),
        open_loop=table.schedules(schedules),
        chosen_from=table.candidates(around=table.plain, split="validation"),
        constants=table.candidates(around=table.plain),
        shifts=table.candidates(around=schedules[0]),
        task=table.task,
    )


def _ablations(
    family: Family,
    folder: Path,
    arguments: argparse.Namespace,
    results: Results,
    pool: Executor | None,
) -> str:
    count = min(arguments.ablation_seeds, arguments.seeds)
    short = dataclasses.replace(family, updates=ABLATION_UPDATES)
    rows = {name: _trainings(short, folder, name, count) for name in ABLATIONS}
    run_all([each.run for trainings in rows.values() for each in trainings], pool)
    table = Table(family, folder, pool)
    scores = {
        name: table.trained([each.own_folder for each in trainings])
        for name, trainings in rows.items()
    }
    return ablation_table(rows, scores, results.open_loop)


def _trainings(family: Family, folder: Path, name: str, count: int) -> list[Training]:
    row = {**MAIN, **ABLATIONS}[name]
    return [Training(family, row, seed, folder, name) for seed in range(count)]


def _quick(family: Family) -> Family:
    return dataclasses.replace(
        family, num_envs=48, updates=2, search_runs=1024, episodes=8, candidate_episodes=8
    )
