"""The gradient of a block where every run has chosen a pair, and where some have none."""

import pytest
import torch

from autoloss_gym.core.combination import combine
from autoloss_gym.core.differentiation import PartialGradient
from autoloss_gym.core.task import Pair

PAIRS = (
    Pair("fit", ("a",), cheap=False),
    Pair("small", ("a",)),
    Pair("other", ("a",), cheap=False),
)
CHOICE = torch.tensor([1, 0, 2, 0, 1])


def gradients_of(rows_of_small):
    """Numbers that name their pair and run: pair 1 of run 4 has 14."""
    found = {}
    for index in range(3):
        rows = torch.nonzero(CHOICE.eq(index))[:, 0]
        if index == 1 and rows_of_small == "all":
            rows = None
        runs = torch.arange(5) if rows is None else rows
        values = (10.0 * index + runs)[:, None].repeat(1, 2)
        found[index, "a"] = PartialGradient(values, rows, (values * values).sum(1))
    return found


@pytest.mark.parametrize("rows_of_small", ["all", "some"])
@pytest.mark.parametrize("idle", [None, 3, 4])
def test_each_run_gets_the_gradient_of_the_pair_that_it_chose(rows_of_small, idle):
    gradients = gradients_of(rows_of_small)
    used = CHOICE[:, None] == torch.arange(3)
    if idle is not None:
        used[idle] = False
        for part in gradients.values():  # what is not used may be anything
            row = idle if part.rows is None else part.rows == idle
            part.values[row] = torch.inf
    before = gradients[1, "a"].values.clone()
    total, active = combine("a", PAIRS, gradients, None, used)
    expected = (10.0 * CHOICE + torch.arange(5)) * used.any(dim=1)
    torch.testing.assert_close(total, expected[:, None].expand(5, 2))
    assert torch.equal(active, used.any(dim=1))
    # A gradient may be the block itself: it is not written to.
    assert torch.equal(gradients[1, "a"].values, before)
