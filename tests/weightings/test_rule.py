"""How a rule is called, and what it keeps when a call fails."""

import copy
import pickle
from dataclasses import dataclass

import pytest
import torch

from autoloss_gym.tools import tree
from autoloss_gym.weightings import (
    Equal,
    Fixed,
    GradNorm,
    RandomLossWeighting,
    SoftAdapt,
    UncertaintyWeighting,
    WeightingRule,
)

pytestmark = pytest.mark.usefixtures("unchecked")
READING = [lambda: SoftAdapt(1.0), UncertaintyWeighting, GradNorm]
each_rule = pytest.mark.parametrize("make", READING)


def losses_of(steps, runs=2):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(steps, runs, 3, generator=generator) + 0.1


def same_state(one, two):
    pairs = zip(tree.leaves(one.state_dict()), tree.leaves(two.state_dict()), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@each_rule
@pytest.mark.parametrize(
    "bad",
    [
        {"losses": torch.ones(2, 3, 3)},
        {"losses": [None, 1.0, 1.0]},
        {"refreshed": [True]},
        {"gradient_norms": torch.ones(2, 2)},
        {"gradient_norms": None},
    ],
)
def test_a_call_that_is_refused_changes_nothing(make, bad):
    rule, other = make(), make()
    if set(bad) == {"gradient_norms"} and not rule.needs_gradient_norms:
        return
    for losses in losses_of(5):
        told = {"losses": losses, "gradient_norms": losses}
        with pytest.raises(ValueError, match="expected"):
            rule.update(**(told | bad))
        rule.update(**told)
        other.update(**told)
        assert same_state(rule, other)


@dataclass
class Failing(WeightingRule):
    """Remembers the losses, and fails if told so."""

    fails: bool = False

    def _start(self, losses):
        return {"latest": torch.zeros_like(losses)}

    def _weigh(self, state, measured):
        state["latest"] = measured.losses
        if self.fails:
            raise ArithmeticError("as it was told")
        return measured.losses[:, :2] if measured.losses[0, 0] == 7 else measured.losses


def test_a_rule_that_fails_half_way_has_learned_nothing():
    rule, other = Failing(), Failing()
    for losses in losses_of(3):
        rule.fails = True
        with pytest.raises(ArithmeticError):
            rule.update(losses)
        rule.fails = False
        rule.update(losses)
        other.update(losses)
        assert same_state(rule, other)
    with pytest.raises(ValueError, match=r"Failing._weigh gave weights of shape \(2, 2\): .*2, 3"):
        rule.update(torch.full((2, 3), 7.0))
    assert same_state(rule, other)


@each_rule
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda rule: pickle.loads(pickle.dumps(rule))]
)
def test_a_copy_goes_on_by_itself(make, duplicate):
    losses = losses_of(8)
    rule = make()
    for row in losses[:4]:
        rule.update(row, gradient_norms=row)
    other = duplicate(rule)
    expected = [rule.update(row, gradient_norms=row) for row in losses[4:]]
    for row, weights in zip(losses[4:], expected, strict=True):
        assert torch.equal(other.update(row, gradient_norms=row), weights)


@each_rule
def test_a_rule_used_in_inference_mode_goes_on_outside(make):
    rule, other = make(), make()
    for step, losses in enumerate(losses_of(6)):
        with torch.inference_mode(step % 2 == 0):
            given = losses.clone()
            weights = rule.update(given, gradient_norms=given)
        assert torch.equal(weights, other.update(losses, gradient_norms=losses))
    weight = torch.ones(3, requires_grad=True)
    (weight * weights[0]).sum().backward()
    assert torch.equal(weight.grad, weights[0])


def test_gradient_norms_are_needed_only_at_the_calls_that_use_them():
    rule, taught = GradNorm(every=3), GradNorm()
    measured = []
    for step, losses in enumerate(losses_of(9)):
        if rule.gradient_norms_due:
            measured.append(step)
            weights = rule.update(losses, gradient_norms=4 * losses)
            expected = taught.update(losses, gradient_norms=4 * losses)
        else:
            weights = rule.update(losses)
        torch.testing.assert_close(weights, expected)  # learned at one call, kept for three
    assert measured == [0, 3, 6]
    assert not torch.equal(expected, torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"gradient_norms=None: .*gradient_norms_due"):
        rule.update(losses)


def test_rules_without_norms_never_want_them_and_gradnorm_of_every_call_always():
    assert not any(rule.gradient_norms_due for rule in (SoftAdapt(every=2), Equal(), Fixed((1,))))
    rule = GradNorm()
    for losses in losses_of(3):
        assert rule.gradient_norms_due
        rule.update(losses, gradient_norms=losses)


def test_norms_are_due_for_all_runs_where_they_are_due_for_one():
    rule = GradNorm(every=3)
    losses = losses_of(1)[0]
    rule.update(losses, gradient_norms=losses)
    rule.update(losses)
    rule.reset(torch.tensor([False, True]))
    due = []
    for _ in range(6):
        due.append(rule.gradient_norms_due)
        rule.update(losses, gradient_norms=losses if due[-1] else None)
    assert due == [True, True, False, True, True, False]  # calls 0, 3 of one run; 3, 6 of the other


def test_a_saved_rule_knows_when_norms_are_due():
    rule, other = GradNorm(every=3), GradNorm(every=3)
    losses = losses_of(1)[0]
    rule.update(losses, gradient_norms=losses)
    other.load_state_dict(rule.state_dict())
    assert not other.gradient_norms_due
    rule.reset()
    assert rule.gradient_norms_due


def test_a_loss_that_is_not_finite_is_told_at_a_call_without_norms():
    rule = GradNorm(every=2)
    rule.update([1.0, 2.0], gradient_norms=[1.0, 2.0])
    with pytest.warns(RuntimeWarning, match="not finite"):
        assert rule.update([float("nan"), 2.0]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"runs": torch.tensor([1, 0])}, r"runs=tensor\(\[1, 0\]\): expected a bool tensor"),
        ({"runs": [True, False]}, r"runs=\[True, False\]: expected a bool tensor"),
        ({"runs": torch.ones(2, 1, dtype=torch.bool)}, "runs=.*: expected a bool tensor"),
        ({"keys": torch.ones(2)}, r"keys=tensor\(\[1., 1.\]\): expected an int64 tensor"),
        ({"keys": 5}, "keys=5: expected an int64 tensor"),
        ({"runs": torch.ones(2, dtype=torch.bool), "keys": torch.arange(3)}, r"keys of shape \(3,"),
    ],
)
def test_a_mask_or_keys_of_another_kind_are_one_line(arguments, expected):
    rule = RandomLossWeighting()
    rule.update(torch.ones(2, 3))
    with pytest.raises(ValueError, match=expected) as caught:
        rule.reset(**arguments)
    assert "\n" not in str(caught.value)


def test_keys_are_copied_and_of_as_many_runs_as_the_losses():
    rule, other = RandomLossWeighting(), RandomLossWeighting()
    keys = torch.arange(2)
    rule.reset(keys=keys)
    other.reset(keys=keys.clone())
    keys.fill_(9)
    with pytest.raises(
        ValueError, match=r"keys of shape \(2,\): expected \(3,\), one for each run"
    ):
        rule.update(torch.ones(3, 3))
    assert torch.equal(rule.update(torch.ones(2, 3)), other.update(torch.ones(2, 3)))
