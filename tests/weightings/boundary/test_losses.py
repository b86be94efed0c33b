"""Losses in the forms in which users have them."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from autoloss_gym.optimizers import SGD
from autoloss_gym.weightings import Fixed, GradNorm, SoftAdapt, UncertaintyWeighting
from autoloss_gym.weightings.boundary.losses import as_tensor

pytestmark = pytest.mark.usefixtures("unchecked")


def second_weights(convert, rule=None):
    """The weights after two calls with losses in some form."""
    rule = rule or SoftAdapt(1.0)
    rule.update(convert([3.0, 1.0, 2.0]))
    return rule.update(convert([1.0, 1.0, 2.5]))


EXPECTED = torch.softmax(torch.tensor([-2.0, 0.0, 0.5]), dim=0)


@pytest.mark.parametrize(
    "convert",
    [
        list,
        tuple,
        iter,
        lambda values: (value for value in values),
        lambda values: map(torch.tensor, values),
        lambda values: dict(zip("abc", values, strict=True)).values(),
        lambda values: [Fraction(value) for value in values],
        lambda values: np.array(values, dtype=np.float32),
        lambda values: np.array(values).astype(np.float32)[::-1][::-1],
        lambda values: list(np.array(values, dtype=np.float32)),
        lambda values: [np.array([value], dtype=np.float32) for value in values],
        lambda values: [torch.tensor([[value]]) for value in values],
        torch.tensor,
        lambda values: [torch.nn.Parameter(torch.tensor(value)) for value in values],
    ],
)
def test_every_form_of_the_losses_gives_the_same_weights(convert):
    weights = second_weights(convert)
    assert not weights.requires_grad
    torch.testing.assert_close(weights, EXPECTED)


def test_a_generator_loses_no_loss():
    """The first one served as an example for the others and was gone."""
    rule = Fixed((1, 2, 3))
    values = [torch.tensor(value) for value in (1.0, 2.0, 3.0)]
    assert rule.update(value for value in values).tolist() == [1, 2, 3]


def test_weights_of_a_dict_have_its_names_and_order():
    rule, by_position = SoftAdapt(1.0), SoftAdapt(1.0)
    first = {"fit": torch.tensor(3.0, requires_grad=True), "penalty": 1.0, 7: torch.tensor([2.0])}
    rule.update(first)
    by_position.update(list(first.values()))
    weights = rule.update({7: 2.5, "penalty": torch.tensor(1.0), "fit": 1.0})
    expected = by_position.update([1.0, 1.0, 2.5])
    assert list(weights) == [7, "penalty", "fit"]
    assert all(weight.shape == () for weight in weights.values())
    assert [weights[name].item() for name in first] == expected.tolist()
    weights["fit"].zero_()
    assert torch.equal(rule.update([1.0, 1.0, 2.5]), by_position.update([1.0, 1.0, 2.5]))


def test_masks_and_norms_of_a_dict_are_dicts_in_any_order():
    named, by_position = GradNorm(), GradNorm()
    for step in range(1, 5):
        weights = named.update(
            {"a": 1.0 / step, "b": 2.0},
            refreshed={"b": step == 1, "a": True},
            gradient_norms={"b": torch.tensor(4.0), "a": 1.0},
        )
        expected = by_position.update([1.0 / step, 2.0], [True, step == 1], [1.0, 4.0])
        assert list(weights.values()) == list(expected)
    assert weights["a"] != 1


def test_reset_forgets_the_names():
    rule = SoftAdapt()
    rule.update({"a": 1.0, "b": 2.0})
    with pytest.raises(ValueError, match=r"named \['a', 'c'\]: expected \['a', 'b'\] as before"):
        rule.update({"a": 1.0, "c": 2.0})
    rule.reset()
    assert list(rule.update({"a": 1.0, "c": 2.0, "d": 3.0})) == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("losses", "more", "expected"),
    [
        ([1.0, None], {}, r"losses\[1\]=None: expected a scalar tensor or a number; .*refreshed"),
        ({"a": None, "b": 1.0}, {}, r"losses\['a'\]=None: expected a scalar tensor or a number"),
        ([torch.ones(()), "2"], {}, r"losses\[1\]='2': expected a scalar"),
        ([10**400, 1.0], {}, r"losses\[0\]=1000"),
        (None, {}, "losses of type NoneType: expected a tensor, or scalars in order"),
        (1.0, {}, "losses of type float: expected"),
        ("12", {}, "losses of type str: expected"),
        ({1.0, 2.0}, {}, "losses of type set: expected .* in order"),
        ({}, {}, r"losses of shape \(0,\): expected \(n,\)"),
        ((each for each in ()), {}, r"losses of shape \(0,\): expected \(n,\)"),
        ([[1.0, 2.0], [3.0]], {}, r"losses in rows of lengths \[2, 1\]: expected equal lengths"),
        ({"a": [1.0, 2.0], "b": [3.0, 4.0]}, {}, r"losses\['a'\]=\[1.0, 2.0\]: expected a scalar"),
        ({"a": torch.ones(4), "b": 1.0}, {}, r"losses\['a'\] of shape \(4,\): expected scalars"),
        ({None: 1.0, "b": 1.0}, {}, "losses with the name None: expected text or an integer"),
        (torch.ones(2, dtype=torch.complex64), {}, "losses of torch.complex64.*: expected .* real"),
        ([torch.ones(()), torch.tensor(1j)], {}, r"losses\[1\] of torch.complex64.*: expected"),
        (np.ones(2, dtype=complex), {}, r"losses\[0\]=.*1\+0j.*: expected a scalar tensor"),
        (torch.eye(2).to_sparse(), {}, "torch.sparse_coo: expected a dense tensor"),
        ([1.0, 2.0], {"refreshed": {"a": True}}, "refreshed of type dict: expected"),
        ([1.0, 2.0], {"refreshed": [True]}, r"refreshed of shape \(1,\): expected \(2,\)"),
        ({"a": 1.0}, {"refreshed": [True]}, "refreshed of type list: expected a dict"),
        ({"a": 1.0}, {"refreshed": {"b": True}}, r"refreshed named \['b'\]: expected \['a'\]"),
    ],
)  # fmt: skip
def test_losses_of_another_kind_are_one_line_and_leave_the_rule_as_it_was(losses, more, expected):
    rule = SoftAdapt()
    with pytest.raises(ValueError, match=expected) as caught:
        rule.update(losses, **more)
    assert "\n" not in str(caught.value)
    assert list(rule.state_dict()) == ["about"]
    rule.update([1.0, 2.0, 3.0])  # as many losses as one likes: none were taken


def test_scalars_on_the_cpu_follow_the_others_to_their_device():
    meta = torch.ones((), device="meta")
    assert as_tensor("losses", [torch.ones(()), meta, 2.0]).device.type == "meta"
    rule = UncertaintyWeighting()
    for _ in range(3):  # nothing asks the device for a value
        weights = rule.update([torch.ones(()), meta, 2.0], refreshed=[True, False, True])
    assert (weights.device.type, weights.shape) == ("meta", (3,))


def test_a_plain_number_beside_integers_is_not_rounded():
    assert as_tensor("losses", [torch.tensor(1), 0.5]).tolist() == [1.0, 0.5]
    assert as_tensor("losses", [0.5, torch.tensor(1.0).half()]).dtype == torch.float16


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_are_finite_in_the_dtype_of_the_losses(dtype):
    """1e5 is infinite as a float16, and 1 / (2 · 3e-6) is what a small loss leads to."""
    greatest = torch.finfo(dtype).max
    rule = Fixed((1e30, 1e5, 1.0))
    losses = torch.ones(3, dtype=dtype)
    if dtype == torch.float16:
        with pytest.warns(RuntimeWarning, match="weights above 65504, the greatest torch.float16"):
            weights = rule.update(losses)
        assert weights.tolist() == [greatest, greatest, 1.0]
    else:
        weights = rule.update(losses)
        torch.testing.assert_close(weights.double()[0].item(), 1e30, rtol=1e-2, atol=0)
    assert weights.dtype == dtype
    assert torch.isfinite(rule.update(losses)).all()


def test_a_loss_that_falls_to_almost_nothing_keeps_a_finite_half_weight():
    rule = UncertaintyWeighting(SGD(learning_rate=1.0))
    small = torch.tensor([3e-6, 1.0], dtype=torch.float16)
    calls = [rule.update(small) for _ in range(25)]
    assert calls[-1][0] < 65504
    with pytest.warns(RuntimeWarning, match=r"greatest torch.float16"):
        weights = rule.update(small)
    assert weights.tolist() == [65504.0, 0.5]


def test_a_double_state_gives_single_losses_finite_weights():
    rule = Fixed((1e30, 1.0), prior=(1e30, 1.0))
    weights = rule.update(torch.ones(2, dtype=torch.float64))
    assert weights[0].item() == pytest.approx(1e60)
    with pytest.warns(RuntimeWarning, match="weights above 3.40282e.38"):
        weights = rule.update(torch.ones(2, dtype=torch.float32))
    assert math.isfinite(weights[0].item())
    assert weights.dtype == torch.float32
