"""Which weighting rule should one use? Every rule on several tasks, against searches and learners.

    python -m studies.weightings                        # every task, and the ranks over them
    python -m studies.weightings poisson --controllers  # one of them, with controllers as well
    python -m studies.weightings --ranks-only           # the ranks over tasks, without their tables
    python -m studies.weightings --quick                # the same at a small size: does it run?

Everything is kept in <output>/<task>/: given again after a kill, a command goes on where it was.
"""

import argparse
import dataclasses
import functools
import sys
from collections.abc import Sequence

import numpy as np

from agents.command_line import command_parser
from agents.evaluation.workers import worker_processes
from agents.interruption import goes_on
from agents.options import positive
from autoloss_gym.tools.names import unknown
from studies.arguments import add_folders
from studies.mixtures.settings import MAIN
from studies.mixtures.trainings import OpenLoopSearch, Training, run_all
from studies.weightings.page import PAGE, RANKS
from studies.weightings.playing import Entrant, Player
from studies.weightings.ranks import rank_table, ranked
from studies.weightings.report import report
from studies.weightings.settings import BENCHES, BLIND, CONTROLLER, OPEN_LOOP, RANKED, Bench

_QUICK_PROBLEMS = 4


def parse_arguments() -> argparse.Namespace:
    parser = command_parser(None, __doc__ or "")
    parser.add_argument(
        "tasks", nargs="*", metavar="TASK", help=f"{', '.join(BENCHES)} (default: all)"
    )
    parser.add_argument(
        "--controllers", action="store_true", help="train and search as well, where that is planned"
    )
    parser.add_argument(
        "--ranks-only",
        action="store_true",
        help="play the problems that all rules meet, and no grids; write the ranks alone",
    )
    parser.add_argument("--seeds", type=positive, default=5, help="trainings (default: 5)")
    parser.add_argument("--processes", type=positive, default=2, help="at once (default: 2)")
    parser.add_argument("--quick", action="store_true", help="few problems, short runs")
    add_folders(parser, "weightings")
    arguments = parser.parse_args()
    for name in arguments.tasks:
        if name not in BENCHES:
            parser.error(unknown("task", name, BENCHES))
    if arguments.ranks_only and len(set(arguments.tasks or BENCHES)) == 1:
        parser.error(f"--ranks-only: got {arguments.tasks[0]} alone, expected two tasks or more")
    return arguments


def run() -> None:
    arguments = parse_arguments()
    output = arguments.output / ("quick" if arguments.quick else "full")
    goes_on(lambda: f"{output} holds what is finished: the same command goes on with it")
    docs = output if arguments.quick else arguments.docs
    docs.mkdir(parents=True, exist_ok=True)
    path = docs / "weightings.md"
    names = list(dict.fromkeys(arguments.tasks or BENCHES))
    played: dict[str, dict[str, np.ndarray]] = {}
    with worker_processes(arguments.processes) as pool:
        for name in names:
            bench = _quick(BENCHES[name]) if arguments.quick else BENCHES[name]
            player = Player(bench, output / name, pool, functools.partial(_announce, name))
            if arguments.ranks_only:
                entrants = player.rules(RANKED, bench.aggregated)
            else:
                entrants, best_of = _play(player, arguments)
                part = report(bench, entrants, best_of)
                print(f"\n## {bench.title}\n\n{part}", flush=True)
                PAGE.write(path, name, part)
            played[name] = {rule: entrants[rule].figures[0] for rule in RANKED}
    if len(names) > 1:
        kinds = {name: BENCHES[name].kind for name in names}
        part = rank_table(ranked(played, kinds), RANKED)
        print(f"\n{part}", flush=True)
        PAGE.write(path, RANKS, part)


def _announce(name: str, what: str) -> None:
    print(f"{name}: {what} played", file=sys.stderr, flush=True)


def _play(
    player: Player, arguments: argparse.Namespace
) -> tuple[dict[str, Entrant], dict[str, np.ndarray]]:
    bench = player.bench
    entrants = player.rules(bench.titles, bench.family.episodes)
    grids, best_of = player.grids()
    entrants |= grids
    if not (arguments.controllers and bench.family.updates):
        return entrants, {}
    return entrants | _learners(player, range(arguments.seeds)), {"fixed weights": best_of}


def _learners(player: Player, seeds: Sequence[int]) -> dict[str, Entrant]:
    """Controllers, their blind copies, and open loops of the same budget."""
    family, folder = player.bench.family, player.folder
    controllers, blind = (
        [Training(family, MAIN[name], seed, folder, name) for seed in seeds]
        for name in (CONTROLLER, BLIND)
    )
    budget = controllers[0].cost()
    loops = [OpenLoopSearch(family, seed, budget, folder) for seed in seeds]
    run_all([*(each.run for each in controllers), *(each.run for each in loops)], player.pool)
    run_all([each.run for each in blind], player.pool)  # these need the bases of the controllers
    return {
        CONTROLLER: player.trained(MAIN[CONTROLLER].title, controllers),
        BLIND: player.trained(MAIN[BLIND].title, blind),
        OPEN_LOOP: player.open_loop("open loop of the same budget", loops),
    }


def _quick(bench: Bench) -> Bench:
    family = dataclasses.replace(
        bench.family,
        env_kwargs={**bench.family.env_kwargs, "max_steps": 20, "validate_every": 10},
        num_envs=48 if bench.family.updates else 0,
        updates=min(bench.family.updates, 1),
        search_runs=240 if bench.family.updates else 0,
        episodes=_QUICK_PROBLEMS,
        candidate_episodes=_QUICK_PROBLEMS,
    )
    return dataclasses.replace(bench, family=family, grid=2, aggregated=_QUICK_PROBLEMS)
