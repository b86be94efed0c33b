"""Multi-task translation (AutoLoss §5.1.3): a controller, FineTuned, FixedRatio, MT, and others.

    python -m studies.translation                            # page and picture in docs/results/
    python -m studies.translation --preset multi30k_small    # text, from AUTOLOSS_GYM_DATA
    python -m studies.translation --only untrained           # a part of the work, for later
    python -m studies.translation --only ppo group
    python -m studies.translation --quick                    # small sizes: does it run?

Everything is kept in <output>/<size>/<preset>/<budget>/: given again after a kill, or with more
--seeds, --problems or --budgets, a command goes on where it was. Different parts may run at
the same time.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import torch

from agents.evaluation.workers import worker_processes
from agents.interruption import goes_on
from studies.translation.arguments import parse_arguments
from studies.translation.figure import draw
from studies.translation.page import PAGE
from studies.translation.playing import Entrant, Table
from studies.translation.report import Played, report, settings_of
from studies.translation.settings import (
    BLIND,
    GROUP,
    ONLINE_PAPER,
    OPEN_LOOP,
    PAPER_BUFFER,
    PPO,
    RULES,
    STATIC,
    UNTRAINED,
    Study,
    quick,
)
from studies.translation.trainings import OpenLoopSearch, Training, search_runs


def run() -> None:
    arguments = parse_arguments(__doc__ or "")
    torch.set_num_threads(1)
    study = _study(arguments)
    size = arguments.output / ("quick" if arguments.quick else "full")
    goes_on(lambda: f"{size} holds what is finished: the same command goes on with it")
    folder = size / study.preset
    with worker_processes(arguments.processes) as pool:
        if arguments.only:
            for budget in study.budgets:
                work(study, budget, folder, arguments.only, pool)
            print(f"{folder} holds it: the same command without --only makes the tables")
            return
        played = [play_budget(study, each, folder, pool) for each in study.budgets]
    part = "\n\n".join([_said(study, played), *(report(each) for each in played)])
    docs = size if arguments.quick else arguments.docs
    docs.mkdir(parents=True, exist_ok=True)
    name = "translation" if study.preset == "synthetic" else f"translation_{study.preset}"
    print(part, flush=True)
    PAGE.write(docs / "translation.md", study.preset, f"{part}\n\n![Schedules]({name}.png)")
    pairs = [pair.name for pair in Table(study, study.budgets[0], folder, None).task.pairs]
    draw(played, pairs, docs / f"{name}.png")


def play_budget(study: Study, budget: int, folder: Path, pool: Executor | None) -> Played:
    """Train what is missing, and play all on the unseen problems of a budget."""
    own = folder / str(budget)
    work(study, budget, folder, study.learners, pool)
    table = Table(study, budget, own, pool, _announce)
    static, reference = table.static()
    entrants = [*static, *(table.untrained(name) for name in _reacting(study, budget))]
    if budget in study.learned_budgets:
        entrants += _learned(study, budget, table, own)
    by_name = {each.name: each for each in entrants}
    return Played(budget, by_name, reference, table.task.instances)


def work(
    study: Study, budget: int, folder: Path, parts: Sequence[str], pool: Executor | None
) -> None:
    """Do parts of the work of a budget: trainings, searches, or what no training precedes.

    Args:
        study: what is compared.
        budget: updates of a run.
        folder: of the preset.
        parts: "untrained", or names of what is trained; the group has a blind copy, which needs
            its base.
        pool: processes that work.
    """
    own = folder / str(budget)
    if "untrained" in parts:
        table = Table(study, budget, own, pool, _announce)
        table.static()
        for name in _reacting(study, budget):
            table.untrained(name)
    if budget not in study.learned_budgets:
        return
    first = [name for name in (PPO, GROUP) if name in parts]
    jobs = [each.run for name in first for each in _trainings(study, budget, own, name)]
    if OPEN_LOOP in parts:
        jobs += [each.run for each in _searches(study, budget, own)]
    _all(jobs, pool)
    if GROUP in parts:
        _all([each.run for each in _trainings(study, budget, own, BLIND)], pool)


def _learned(study: Study, budget: int, table: Table, folder: Path) -> list[Entrant]:
    names = study.learners
    found = [table.open_loop(_searches(study, budget, folder))] if OPEN_LOOP in names else []
    learners = [name for name in (PPO, GROUP) if name in names]
    found += [table.trained(_trainings(study, budget, folder, name)) for name in learners]
    if GROUP in names:
        found.append(table.trained(_trainings(study, budget, folder, BLIND), search_runs(study)))
    return found


def _trainings(study: Study, budget: int, folder: Path, name: str) -> list[Training]:
    return [Training(study, budget, name, seed, folder) for seed in range(study.seeds)]


def _searches(study: Study, budget: int, folder: Path) -> list[OpenLoopSearch]:
    return [OpenLoopSearch(study, budget, seed, folder) for seed in range(study.seeds)]


def _reacting(study: Study, budget: int) -> list[str]:
    """Names of those that react; the paper's online controller learns in longer runs alone."""
    left_out = STATIC if study.rules else (*STATIC, *RULES)
    names = [name for name in UNTRAINED if name not in left_out]
    return [name for name in names if name != ONLINE_PAPER or budget > PAPER_BUFFER]


def _all(jobs: Sequence[Callable[[], None]], pool: Executor | None) -> None:
    """Run all of them, in the processes of the pool where there is one."""
    waiting = [pool.submit(job) for job in jobs] if pool else []
    for number, job in enumerate(jobs, 1):
        if pool:
            waiting[number - 1].result()
        else:
            job()
        _announce(f"{number} of {len(jobs)} trainings and searches")


def _study(arguments: argparse.Namespace) -> Study:
    study = Study(preset=arguments.preset)
    if arguments.quick:
        return quick(study)
    return replace(
        study,
        budgets=tuple(dict.fromkeys(arguments.budgets)),
        learned_budgets=tuple(dict.fromkeys(arguments.learned_budgets)),
        learners=tuple(dict.fromkeys(arguments.learners)),
        problems=arguments.problems,
        choosing=arguments.choosing,
        seeds=arguments.seeds,
        training_runs=arguments.training_runs,
        rules=arguments.rules,
    )


def _said(study: Study, played: Sequence[Played]) -> str:
    noun = played[0].noun
    what = f"{study.problems} {noun} of the test split, {study.choosing} {noun} to choose on"
    if not study.learned_budgets:
        return settings_of(played, f"{what}; nothing was trained or searched before.")
    trainings = "one training" if study.seeds == 1 else f"{study.seeds} trainings"
    spent = f"{trainings} of each learner with {study.training_runs:,} training runs"
    return settings_of(played, f"{what}, {spent}.")


def _announce(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
