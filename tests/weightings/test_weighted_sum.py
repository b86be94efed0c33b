"""A rule that is called returns the weighted sum of the losses."""

import math

import pytest
import torch

from autoloss_gym.weightings import Fixed, SoftAdapt
from tests.weightings.test_weightings import every_rule, histories

pytestmark = pytest.mark.usefixtures("unchecked")


@every_rule
def test_the_sum_is_that_of_the_losses_times_the_weights_of_update(make):
    losses, _, norms = histories(steps=6, runs=1)
    rule, other = make(), make()
    for row, norm in zip(losses[:, 0], norms[:, 0], strict=True):
        scalars = [value.clone().requires_grad_() for value in row]
        total = rule(scalars, gradient_norms=norm)
        weights = other.update(scalars, gradient_norms=norm)
        assert total.shape == ()
        torch.testing.assert_close(total, (weights * row).sum())
        total.backward()
        assert torch.equal(torch.stack([scalar.grad for scalar in scalars]), weights)


@every_rule
def test_a_run_has_the_same_sum_alone_and_in_a_batch(make):
    losses, refreshed, norms = histories(steps=6, runs=9)
    batch, alone = make(), make()
    for rule, runs in ((batch, slice(None)), (alone, slice(4, 5))):
        rule.reset(keys=torch.arange(9)[runs])
    for step in range(6):
        together = batch(losses[step], refreshed[step], norms[step])
        assert together.shape == (9,)
        told = losses[step, 4:5], refreshed[step, 4:5], norms[step, 4:5]
        assert torch.equal(alone(*told), together[4:5])


def test_no_gradient_flows_through_the_weights():
    rule = SoftAdapt(5.0)
    losses = torch.tensor([1.0, 2.0], requires_grad=True)
    for factor in (1.0, 0.5, 0.9):
        weights, total = SoftAdapt.update(rule, losses * factor), rule(losses * factor)
        assert not weights.requires_grad
    (gradient,) = torch.autograd.grad(total, losses)
    assert gradient.sum().item() == pytest.approx(0.9)


def test_the_losses_may_be_a_dict_a_generator_or_numbers():
    fit, penalty = (torch.tensor(value, requires_grad=True) for value in (2.0, 3.0))
    rule = Fixed((1, 10))
    assert rule({"fit": fit, "penalty": penalty}).item() == 32.0
    total = rule({"penalty": penalty, "fit": fit})  # by name, whatever the order
    total.backward()
    assert (total.item(), fit.grad.item(), penalty.grad.item()) == (32.0, 1.0, 10.0)
    assert Fixed((1, 10))(loss for loss in (fit, penalty)).item() == 32.0
    assert Fixed((1, 10))([2, 3]).item() == 32.0
    assert Fixed((1, 10))(torch.tensor([2, 3])).item() == 32.0


def test_a_loss_that_was_not_refreshed_is_no_part_of_the_sum():
    losses = torch.tensor([2.0, math.nan], requires_grad=True)
    total = Fixed((3, 10))(losses, refreshed=[True, False])
    total.backward()
    assert (total.item(), losses.grad.tolist()) == (6.0, [3.0, 0.0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_the_sum_has_the_dtype_of_the_losses(dtype):
    losses = torch.tensor([2.0, 3.0], dtype=dtype, requires_grad=True)
    total = SoftAdapt()(losses)
    assert (total.dtype, total.item()) == (dtype, 2.5)
