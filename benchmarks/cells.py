"""What it costs to play cells elsewhere: an empty cell, and an evaluation on two cores.

    python -m benchmarks.cells                # this process and two processes
    python -m benchmarks.cells --ray          # and a Ray cluster of two nodes of one processor
    python -m benchmarks.cells --ray --node   # and how long the loss of a node takes

Every turn plays so many empty cells with each crew; one of them writes its file to the folder of
results, or sends it back where that is not seen. Then the same evaluation is played by one process
and by each of the others.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.command_line import OneLineParser, main
from agents.environments import EnvironmentMaker
from agents.evaluation.entrants import make_entrants
from agents.evaluation.rollout import rollout
from agents.evaluation.store import EpisodeStore
from agents.options import positive
from agents.policies.grammar import parse_specification
from agents.sweeps.cells import Cell, Place, place_of
from agents.sweeps.crews import Crew, Here, Processes, play_cells
from agents.sweeps.evaluations import CellPlayer
from agents.sweeps.ray_cluster import ray_crew
from agents.sweeps.recipes import Recipes

ID = "AutoLoss/QuadraticRegression-v1"
POLICIES = ("softadapt", "dwa", "gradnorm", "1:1")
_STORE = {"object_store_memory": 80_000_000}
# Words of the command lines of Ray's processes, and what these are.
_OF_RAY = {
    "gcs_server": "head: control store",
    "ray/dashboard/dashboard": "head: dashboard",
    "log_monitor": "log monitor",
    "raylet/raylet": "node: raylet",
    "ray::DashboardAgent": "node: agents",
    "ray::RuntimeEnvAgent": "node: agents",
    "ray::": "worker",
}


def empty(crew: Crew, count: int, folder: Path, is_seen: bool) -> float:
    """Seconds that so many cells take which play nothing."""
    cells = [Cell(name=f"{number}", digest=f"{number:064}") for number in range(count)]
    with place_of(folder) as place:
        where = place if is_seen else Place(place.folder, "another")
        begun = time.perf_counter()
        for _ in play_cells(cells, where, crew, {}, lambda number, content: None):
            pass
        return time.perf_counter() - begun


def evaluation(
    crew: Crew, episodes: int, folder: Path, lose: Callable[[], None] = lambda: None
) -> float:
    """Seconds of an evaluation; `lose` is called when its first batch is over."""
    make_env = EnvironmentMaker(ID, {"split": "test"})
    task = make_env(num_envs=1).task
    entrants = make_entrants([parse_specification(text) for text in POLICIES], task, ID)
    policies = [entrant.candidates[0] for entrant in entrants]
    player = CellPlayer(crew, Recipes(entrants), deterministic=False)
    is_first = True

    def progress(done: int, total: int) -> None:
        nonlocal is_first
        if is_first:
            lose()
        is_first = False

    store = EpisodeStore(folder, "test", task)
    begun = time.perf_counter()
    rollout(policies, make_env, np.arange(episodes), progress, store, player, most_runs=256)
    return time.perf_counter() - begun


@contextlib.contextmanager
def ray_nodes(lines: list[str]) -> Iterator[tuple[Any, list[Any], Crew]]:
    """A cluster of two nodes of one processor beside a head that plays nothing.

    Args:
        lines: get one about how long it took to start.
    """
    from ray.cluster_utils import Cluster  # noqa: PLC0415 (an extra)

    begun = time.perf_counter()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **_STORE})
    try:
        nodes = [cluster.add_node(num_cpus=1, **_STORE) for _ in range(2)]
        up = time.perf_counter() - begun
        with ray_crew(cluster.address, 0) as crew, tempfile.TemporaryDirectory() as folder:
            first = empty(crew, 2, Path(folder), is_seen=True)
            lines.append(f"a cluster of three nodes {up:.1f} s, its first two cells {first:.1f} s")
            yield cluster, nodes, crew
    finally:
        cluster.shutdown()


def own_mebibytes() -> str:
    """Memory of Ray's processes that no other process has, by what they are called (Linux)."""
    found: dict[str, list[float]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_text().replace("\0", " ")
            name = next((each for each in _OF_RAY if each in words), None)
            if name is None:
                continue
            lines = (process / "smaps_rollup").read_text().splitlines()
            own = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
            found.setdefault(_OF_RAY[name], []).append(own / 1024)
    parts = [f"{len(each)} × {name} {np.mean(each):.0f}" for name, each in sorted(found.items())]
    return ", ".join(parts)


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=positive, default=1000, help="default: 1,000")
    parser.add_argument("--turns", type=positive, default=5, help="of each (default: 5)")
    parser.add_argument("--episodes", type=positive, default=512, help="default: 512")
    parser.add_argument("--ray", action="store_true", help="a cluster too")
    parser.add_argument("--node", action="store_true", help="the loss of a node of it too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines: list[str] = []
    with contextlib.ExitStack() as stack:
        processes = stack.enter_context(Processes(2))
        crews: dict[str, Crew] = {"this process": Here(), "two processes": processes}
        if arguments.ray or arguments.node:
            cluster, nodes, crews["Ray, two nodes"] = stack.enter_context(ray_nodes(lines))
        for crew in crews.values():  # each process imports once
            with tempfile.TemporaryDirectory() as folder:
                empty(crew, 20, Path(folder), is_seen=True)
                evaluation(crew, 8, Path(folder))
        lines += report_empty(crews, arguments.cells, arguments.turns)
        lines += report_evaluation(crews, arguments.episodes, arguments.turns)
        if arguments.ray:
            lines.append(f"memory of Ray's processes, MiB each: {own_mebibytes()}")
        if arguments.node:
            lines.append(report_loss(crews["Ray, two nodes"], cluster, nodes, arguments.episodes))
    print("\n".join(lines))  # with Ray, nothing is printed before


def report_empty(crews: dict[str, Crew], count: int, turns: int) -> list[str]:
    """Milliseconds a cell, by crews and by where the results go."""
    seconds: dict[tuple[str, bool], list[float]] = {}
    for _ in range(turns):
        for name, crew in crews.items():
            for is_seen in (True, False):
                with tempfile.TemporaryDirectory() as folder:
                    taken = empty(crew, count, Path(folder), is_seen)
                seconds.setdefault((name, is_seen), []).append(taken / count * 1000)
    lines = [f"{count:,} empty cells, ms each: median [quartiles]"]
    for (name, is_seen), values in seconds.items():
        where = "written to their folder" if is_seen else "sent back"
        lines.append(f"  {name}, {where}: {_spread(values)}")
    return lines


def report_evaluation(crews: dict[str, Crew], episodes: int, turns: int) -> list[str]:
    """How much faster others play an evaluation than this process, turn by turn."""
    ratios: dict[str, list[float]] = {}
    for _ in range(turns):
        seconds = {}
        for name, crew in crews.items():
            with tempfile.TemporaryDirectory() as folder:
                seconds[name] = evaluation(crew, episodes, Path(folder))
        alone = seconds.pop("this process")
        for name, taken in seconds.items():
            ratios.setdefault(name, []).append(alone / taken)
    lines = [f"{len(POLICIES)} policies × {episodes} problems, times as fast as this process:"]
    return lines + [f"  {name}: {_spread(values)}" for name, values in ratios.items()]


def report_loss(crew: Crew, cluster: Any, nodes: list[Any], episodes: int) -> str:
    """What an evaluation takes longer for the loss of one of two nodes, which is replaced."""

    def lose() -> None:
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        nodes.append(cluster.add_node(num_cpus=1, **_STORE))

    with tempfile.TemporaryDirectory() as folder:
        whole = evaluation(crew, episodes, Path(folder, "whole"))
        lost = evaluation(crew, episodes, Path(folder, "lost"), lose)
    return f"with both nodes {whole:.1f} s, with one lost and replaced {lost:.1f} s"


def _spread(values: list[float]) -> str:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    sys.exit(main(run))
