"""Rules that learn from the sizes of the losses' gradients."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from autoloss_gym.weightings import GradientAnnealing, GradNorm, NTKWeights, SoftAdapt
from tests.weightings.test_shared import Net
from tests.weightings.test_weightings import histories

pytestmark = pytest.mark.usefixtures("unchecked")


def magnitudes(losses, parameters):
    """The largest entry of the first gradient, the mean of the others, as a user would take them."""
    parameters = list(parameters)
    found = []
    for loss in losses:
        gradients = torch.autograd.grad(
            loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        found.append(torch.cat([each.flatten() for each in gradients]).abs())
    return [found[0].max(), *[each.mean() for each in found[1:]]]


def test_what_comes_in_as_gradient_norms_is_declared():
    figures = {rule: rule.gradient_figures for rule in (GradNorm, GradientAnnealing, NTKWeights)}
    assert [*figures.values()] == ["norms", "magnitudes", "kernel_traces"]
    assert all(rule.needs_gradient_norms for rule in figures)
    assert SoftAdapt.gradient_figures == "norms"
    assert not SoftAdapt.needs_gradient_norms


@pytest.mark.parametrize("count", [1, 3, 50])
@pytest.mark.parametrize("alpha", [0.1, 0.9])
def test_annealing_averages_the_ratio_of_the_largest_to_the_mean_gradient(alpha, count):
    rule = GradientAnnealing(alpha)
    losses, refreshed, figures = histories(40, 1, count, torch.float64)
    learned, reference = np.ones(count), math.nan
    for row, mask, given in zip(losses, refreshed, figures, strict=True):
        weights = rule.update(row, mask, given)[0]
        measured, sizes = mask[0].numpy(), given[0].numpy()
        reference = sizes[0] if measured[0] else reference
        for index in range(1, count):
            if measured[index]:
                learned[index] = (1 - alpha) * learned[index] + alpha * reference / sizes[index]
        np.testing.assert_allclose(weights, learned, rtol=1e-12)
        assert weights[0] == 1


def test_annealing_keeps_a_weight_whose_ratio_is_not_finite():
    rule = GradientAnnealing(0.5)
    rule.update([1.0, 1.0, 1.0], gradient_norms=[4.0, 1.0, 2.0])
    weights = rule.update([1.0, 1.0, 1.0], gradient_norms=[4.0, 0.0, 2.0])
    assert weights.tolist() == [1.0, 2.5, 1.75]


def test_annealing_learns_only_from_calls_that_bring_magnitudes():
    rule, often = GradientAnnealing(every=3), GradientAnnealing()
    losses, _, figures = histories(9, 1, 3)
    for step, (row, given) in enumerate(zip(losses, figures, strict=True)):
        assert rule.gradient_norms_due == (step % 3 == 0)
        weights = rule.update(row, gradient_norms=given if step % 3 == 0 else None)
        if step % 3 == 0:
            expected = often.update(row, gradient_norms=given)
        assert torch.equal(weights, expected)


@pytest.mark.parametrize(
    "form", [list, torch.stack, lambda losses: {"b": losses[0], "a": losses[1]}]
)
def test_annealing_measures_its_magnitudes_itself(form):
    net = Net()
    rule, other = GradientAnnealing(0.5, shared=net.trunk), GradientAnnealing(0.5)
    for factor in (1.0, 0.7, 0.9):
        losses = net.losses(factor)
        given = magnitudes(losses, net.trunk.parameters())
        weights = rule.update(form(losses))
        weights = torch.stack([*weights.values()]) if isinstance(weights, dict) else weights
        torch.testing.assert_close(weights, other.update(losses, gradient_norms=given))
    assert weights[1] > 1.1
    rule(net.losses()).backward()  # the graph is still there


def test_parameters_that_a_loss_does_not_reach_count_as_zero_in_its_mean():
    first, second = nn.Linear(2, 3), nn.Linear(3, 1)
    hidden = first(torch.ones(1, 2))
    losses = [second(hidden).square().sum(), hidden.square().sum()]  # the second: one layer alone
    parameters = [*first.parameters(), *second.parameters()]
    rule = GradientAnnealing(1.0, shared=[first, second])
    given = magnitudes(losses, parameters)
    torch.testing.assert_close(rule.update(losses)[1], (given[0] / given[1]).detach())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_magnitudes_of_small_dtypes_are_summed_in_float32(dtype):
    """The sum of 4,000 entries of 60 is beyond float16."""
    weight = torch.ones(4000, dtype=dtype, requires_grad=True)
    losses = [((weight - 1) * 30).sum(), ((weight - 1) * 60).sum()]
    weights = GradientAnnealing(1.0, shared=weight).update(losses)
    assert weights.dtype == dtype
    assert weights.tolist() == [1.0, 0.5]


def test_annealing_names_a_loss_that_does_not_reach_the_shared_parameters():
    net = Net()
    rule = GradientAnnealing(shared=net.trunk)
    with pytest.warns(RuntimeWarning, match=r"losses\[1\] does not reach .*; its gradients count"):
        weights = rule.update([net.losses()[0], 0.3])
    assert weights.tolist() == [1.0, 1.0]


def test_ntk_weights_are_the_whole_trace_over_each_losss_own():
    rule = NTKWeights()
    losses, refreshed, traces = histories(40, 1, 3, torch.float64)
    latest = np.full(3, math.nan)
    for row, mask, given in zip(losses, refreshed, traces, strict=True):
        weights = rule.update(row, mask, given)[0]
        latest = np.where(mask[0], given[0], latest)
        np.testing.assert_allclose(weights, latest.sum() / latest, rtol=1e-12)


def test_ntk_weights_of_a_model_follow_from_the_gradients_of_its_residuals():
    """For residuals r = J θ − y of each loss, whose kernel is J Jᵀ."""
    generator = torch.Generator().manual_seed(0)
    jacobians = [torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (4, 9)]
    traces = [(each @ each.T).trace() for each in jacobians]
    weights = NTKWeights().update([1.0, 2.0], gradient_norms=traces)
    residuals = [each.square().sum() for each in jacobians]
    expected = [sum(residuals) / each for each in residuals]
    torch.testing.assert_close(weights.double(), torch.stack(expected), rtol=1e-6, atol=0)


def test_ntk_weights_are_equal_until_all_traces_are_known_and_where_one_is_zero():
    rule = NTKWeights()
    assert rule.update([1.0, 1.0], [True, False], [2.0, 0.0]).tolist() == [0.5, 0.5]
    assert rule.update([1.0, 1.0], [False, True], [0.0, 6.0]).tolist() == pytest.approx([4, 4 / 3])
    assert rule.update([1.0, 1.0], gradient_norms=[2.0, 0.0]).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (NTKWeights, r"gradient_norms=None: expected Σ_i .* NTKWeights needs where gradient_norms_du.*; give update\(losses, gradient_norms=traces\)$"),
        (GradientAnnealing, r"the largest \|∂L/∂θ\| of the first loss.*; give GradientAnnealing\(shared="),
    ],
)  # fmt: skip
def test_a_call_without_figures_says_what_to_bring(make, expected):
    for losses in ([1.0, 2.0], Net().losses()):
        with pytest.raises(ValueError, match=expected) as caught:
            make().update(losses)
        assert "\n" not in str(caught.value)


def test_traces_are_never_measured_as_norms():
    net, rule = Net(), NTKWeights()
    rule.shared = net.trunk
    with pytest.raises(ValueError, match="gradient_norms=traces"):
        rule.update(net.losses())


@pytest.mark.parametrize(
    "make", [partial(GradientAnnealing, every=2), partial(NTKWeights, every=2)]
)
def test_figures_that_are_not_finite_give_equal_weights_and_are_not_learned(make):
    rule, other = make(), make()
    for each in (rule, other):
        each.update([1.0, 2.0], gradient_norms=[3.0, 4.0])
        each.update([1.0, 2.0])
    with pytest.warns(RuntimeWarning, match="not finite"):
        assert rule.update([1.0, 2.0], gradient_norms=[3.0, math.nan]).tolist() == [0.5, 0.5]
    other.update([1.0, 2.0], [True, False], [3.0, 0.0])
    for each in (rule, other):
        each.update([1.0, 2.0])
    weights = rule.update([1.0, 2.0], gradient_norms=[2.0, 4.0])
    assert torch.equal(weights, other.update([1.0, 2.0], gradient_norms=[2.0, 4.0]))
