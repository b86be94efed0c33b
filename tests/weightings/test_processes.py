"""Rules in a training of several processes: two of them, over gloo."""

import math
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from autoloss_gym.weightings import (
    FAMO,
    CoVWeighting,
    GradientAnnealing,
    GradNorm,
    IMTLBalance,
    NTKWeights,
    ReLoBRaLo,
    SelfAdaptiveWeights,
    SoftAdapt,
    WeightingRule,
)

pytestmark = [
    pytest.mark.usefixtures("unchecked"),
    pytest.mark.skipif(
        not distributed.is_available() or not distributed.is_gloo_available(),
        reason="PyTorch without gloo",
    ),
]
LOSSES = {  # of each process and step
    0: [[1.0, 4.0], [0.5, 3.0], [0.2, math.nan], [0.1, 2.0], [0.1, math.inf], [0.1, 1.0]],
    1: [[3.0, 2.0], [1.5, 2.5], [0.9, 1.0], [0.7, 0.5], [9.0, 9.0], [0.3, 0.7]],
}
REFRESHED = [[True, True]] * 4 + [[True, False], [True, True]]  # of process 0; process 1 has all


def rules() -> dict[str, WeightingRule]:
    return {
        "mean": SoftAdapt(2.0, loss_weighted=True, reduce="mean"),
        "group": SoftAdapt(2.0, loss_weighted=True, reduce=distributed.group.WORLD),
        "function": SoftAdapt(2.0, loss_weighted=True, reduce=_mean),
        "gradnorm": GradNorm(reduce="mean"),
        "relobralo": ReLoBRaLo(0.5, rho=0.5, reduce="mean"),
        "famo": FAMO(reduce="mean"),
        "imtl": IMTLBalance(reduce="mean"),
        "cov": CoVWeighting(reduce="mean"),
        "self_adaptive": SelfAdaptiveWeights(reduce="mean"),
        "annealing": GradientAnnealing(reduce="mean"),
        "ntk": NTKWeights(reduce="mean"),
        "apart": SoftAdapt(2.0, loss_weighted=True),
    }


def _mean(values: torch.Tensor) -> torch.Tensor:
    distributed.all_reduce(values)
    return values / distributed.get_world_size()


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    address = f"file://{folder}/meeting"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    weights: dict[str, list[list[float]]] = {}
    for name, rule in rules().items():
        weights[name] = []
        for step, losses in enumerate(LOSSES[rank]):
            refreshed = REFRESHED[step] if rank == 0 else None
            told = rule.update(losses, refreshed, [1.0 + rank, 2.0 + step])
            weights[name].append(told.tolist())

    refusals = []
    for losses in ([1.0] * (2 + rank), {"ab"[rank]: 1.0}):
        try:
            SoftAdapt(reduce="mean").update(losses)
        except ValueError as error:
            refusals.append(str(error))
    torch.save((weights, refusals), f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, list], list[str]]]:
    folder: Path = tmp_path_factory.mktemp("processes")
    # Warnings of values that are not finite go to the processes' own standard error.
    multiprocessing.spawn(work, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize(
    "name",
    [
        "mean", "group", "function", "gradnorm", "relobralo", "famo", "imtl", "cov", "self_adaptive",
        "annealing", "ntk",
    ],
)  # fmt: skip
def test_all_processes_get_the_same_weights(told, name):
    (one, _), (two, _) = told
    assert one[name] == two[name]
    assert len({tuple(weights) for weights in one[name]}) > 3
    assert one["apart"] != two["apart"]


@pytest.mark.filterwarnings("ignore:SoftAdapt. losses or gradient norms:RuntimeWarning")
def test_they_are_those_of_the_mean_losses_of_the_processes_that_measured_them(told):
    rule = SoftAdapt(2.0, loss_weighted=True)
    for step in range(len(REFRESHED)):
        pairs = zip(LOSSES[0][step], LOSSES[1][step], REFRESHED[step], strict=True)
        means = [(a + b) / 2 if measured else b for a, b, measured in pairs]
        expected = rule.update(means)
        torch.testing.assert_close(expected, torch.tensor(told[0][0]["mean"][step]))


def test_a_loss_that_is_not_finite_in_one_process_gives_all_equal_weights_at_that_step(told):
    for weights, _ in told:
        assert weights["mean"][2] == [0.5, 0.5]
        assert weights["mean"][3] != [0.5, 0.5]


def test_processes_with_other_losses_are_all_told_so(told):
    for (_, refusals), count, name in zip(told, (2, 3), "ab", strict=True):
        assert len(refusals) == 2
        assert refusals[0].startswith(f"losses (1, {count}) in this process: expected the same")
        assert refusals[1].startswith(f"losses ['{name}'] in this process: expected the same")


def test_one_process_alone_needs_no_group():
    rule, other = SoftAdapt(2.0, reduce="mean"), SoftAdapt(2.0)
    for losses in LOSSES[1]:
        assert torch.equal(rule.update(losses), other.update(losses))


def test_a_function_that_gives_something_else_is_one_line():
    with pytest.raises(ValueError, match=r"reduce\(values\)=None: expected a tensor \(3, 1, 2\)"):
        SoftAdapt(reduce=lambda values: None).update([1.0, 2.0])
    with pytest.raises(ValueError, match="reduce='sum': expected None, 'mean', a process group"):
        SoftAdapt(reduce="sum")


def test_how_processes_are_averaged_is_no_part_of_the_state():
    rule = SoftAdapt(reduce="mean")
    rule.update([1.0, 2.0])
    SoftAdapt().load_state_dict(rule.state_dict())
