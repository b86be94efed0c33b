"""In a distributed training the first rank decides for all."""

import time

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes

from autoloss_gym import Scheduler
from autoloss_gym.weightings import SoftAdapt
from tests.adapters.loops import LOSSES, controller

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="needs gloo"
)
CONTROLS = ("pair", "weights", "rule")
STEPS = 24


def made(control: str) -> Scheduler:
    given = SoftAdapt(beta=1.0) if control == "rule" else controller(control)
    return Scheduler(given, LOSSES, STEPS, seed=4)


def play(scheduler: Scheduler, rank: int, steps: int) -> list[list[float]]:
    """Updates whose losses are another rank's on each rank; the weights of each."""
    decisions = []
    for _ in range(steps):
        number = scheduler.steps
        weights = scheduler.weights()
        decisions.append([*weights.values(), scheduler.step_size()])
        losses = {name: 1.0 / (number + 1) + 3.0 * rank + len(name) for name in weights}
        used = {name: losses[name] for name in weights if weights[name]}
        scheduler.record(losses=used, gradient_norms=dict.fromkeys(used, 0.1 + rank))
        if number % 3 == 2:
            scheduler.validated(1.0 / (number + 1) + rank)
    return decisions


def work(rank: int, folder: str) -> None:
    """What one process does: whole runs, and runs that go on from the first rank's state."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {}
    for control in CONTROLS:
        scheduler = made(control)
        whole = play(scheduler, rank, STEPS // 2)
        states = [scheduler.state_dict()]
        whole += play(scheduler, rank, STEPS // 2)
        dist.broadcast_object_list(states, src=0)
        resumed = made(control)
        resumed.load_state_dict(states[0])
        found[control] = whole, play(resumed, rank, STEPS // 2)
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_ranks_with_losses_of_their_own_decide_alike_and_go_on_from_the_first_ones_state(tmp_path):
    context = processes.spawn(work, (str(tmp_path),), nprocs=2, join=False)
    end = time.monotonic() + 120
    try:
        while not context.join(timeout=5):
            assert time.monotonic() < end, "the processes wait for each other"
    finally:
        for process in context.processes:
            process.kill()
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for control in CONTROLS:
        whole, resumed = first[control]
        assert (whole, resumed) == second[control]
        assert resumed == whole[STEPS // 2 :]
        assert len({tuple(each) for each in whole}) > 1
        alone = play(made(control), 0, STEPS)
        assert whole == alone  # as the first rank would have decided by itself
        assert alone != play(made(control), 1, STEPS) or control == "pair"
