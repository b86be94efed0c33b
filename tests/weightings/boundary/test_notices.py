"""Warnings that a rule gives once."""

import pytest
import torch

from autoloss_gym.weightings import DynamicWeightAverage, GradNorm, SoftAdapt, UncertaintyWeighting
from autoloss_gym.weightings.boundary.notices import Notices


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (UncertaintyWeighting(), "UncertaintyWeighting: a loss is negative; its weight grows"),
        (DynamicWeightAverage(), "DynamicWeightAverage: a loss is negative; the ratio of its"),
        (GradNorm(), "GradNorm: a loss is negative; it counts as trained"),
    ],
)
def test_a_negative_loss_is_told_once_where_the_formula_forbids_it(rule, expected):
    losses, norms = torch.tensor([-1.0, 0.0]), torch.ones(2)
    rule.update([0.0, 1.0], gradient_norms=norms)
    rule.update(losses, [False, True], norms)  # it was not measured
    with pytest.warns(RuntimeWarning, match=expected):
        rule.update(losses, gradient_norms=norms)
    rule.update(losses, gradient_norms=norms)
    rule.reset()
    rule.update(losses, gradient_norms=norms)


def test_a_negative_loss_is_nothing_to_a_rule_of_slopes():
    rule = SoftAdapt()
    rule.update([-1.0, 2.0])
    rule.update([-2.0, 2.0])


def test_stacked_losses_of_shape_one_are_told_to_be_runs():
    """`torch.stack` of losses of shape (1,) looks like runs of one loss, whose weight is 1."""
    rule, losses = SoftAdapt(), [torch.ones(1), torch.ones(1), torch.ones(1)]
    with pytest.warns(RuntimeWarning, match=r"shape \(3, 1\) are 3 runs .* give shape \(3,\)"):
        rule.update(torch.stack(losses))
    rule.update(torch.stack(losses))
    other = SoftAdapt()
    assert other.update(losses).tolist() == pytest.approx([1 / 3] * 3)
    assert SoftAdapt().update(torch.ones(1, 1)).tolist() == [[1.0]]  # one run, however it is read


def test_a_notice_on_a_device_waits_until_the_host_may_wait():
    notices = Notices()
    notices.note("on the device", torch.ones((), dtype=torch.bool, device="meta"))
    notices.tell(wait=False)  # the meta device refuses to be read
    with pytest.raises(RuntimeError, match="meta"):
        notices.tell(wait=True)


def test_what_was_true_at_any_call_is_told_once():
    notices = Notices()
    for met in (False, True, False):
        notices.note("something", torch.tensor(met))
    with pytest.warns(RuntimeWarning, match="something .this warning appears once"):
        notices.tell(wait=True)
    notices.note("something", True)  # warnings are errors here
    notices.note("nothing", False)
    notices.tell(wait=True)
