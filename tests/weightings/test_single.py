"""A model's few losses on the CPU, in plain numbers, have the bits that they have as tensors."""

import math
from functools import partial

import pytest
import torch

from autoloss_gym.optimizers import SGD
from autoloss_gym.tools import tree
from autoloss_gym.weightings import (
    FAMO,
    CoVWeighting,
    DynamicWeightAverage,
    Fixed,
    GradientAnnealing,
    GradNorm,
    IMTLBalance,
    NTKWeights,
    RandomLossWeighting,
    ReLoBRaLo,
    SelfAdaptiveWeights,
    SoftAdapt,
    TimeSchedule,
    UncertaintyWeighting,
)
from tests.weightings.test_weightings import MAKE, OF_THREE, every_rule, histories

pytestmark = [
    pytest.mark.usefixtures("unchecked"),
    pytest.mark.filterwarnings("ignore:.*this warning appears once:RuntimeWarning"),
]
VARIANTS = {name: make for name, make in MAKE.items() if name not in OF_THREE} | {
    "softadapt_defaults": SoftAdapt,
    "softadapt_normalized": partial(SoftAdapt, normalized=True, loss_weighted=True),
    "softadapt_mean": partial(SoftAdapt, 3.0, loss_weighted=True, loss_value="mean", window=4),
    "softadapt_line": partial(SoftAdapt, -3.0, slope="least_squares", window=4, scale=None),
    "softadapt_forward": partial(SoftAdapt, 1e30, slope="forward", order=3),
    "dwa_defaults": partial(DynamicWeightAverage, scale="sum"),
    "uncertainty_scaled": partial(UncertaintyWeighting, scale="sum", every=2),
    "gradnorm_every": partial(GradNorm, every=3),
    "gradnorm_even": partial(GradNorm, 0.0, scale="sum"),
    "gradnorm_sgd": partial(GradNorm, optimizer=SGD(learning_rate=0.1)),
    "random_every": partial(RandomLossWeighting, every=3),
    "relobralo_defaults": ReLoBRaLo,
    "relobralo_cold": partial(ReLoBRaLo, 0.9, temperature=0.01, rho=0.9, scale="sum", every=2),
    "famo_decay": partial(FAMO, 1.0, scale="count"),
    "famo_sgd": partial(FAMO, optimizer=SGD(learning_rate=0.1)),
    "imtl_sum": partial(IMTLBalance, scale="sum"),
    "annealing_fast": partial(GradientAnnealing, 0.9, every=3, scale="sum"),
    "ntk_count": partial(NTKWeights, scale="count"),
    "cov_forgets": partial(CoVWeighting, 0.0),
    "adaptive_line": partial(SelfAdaptiveWeights, power=1, scale="sum"),
    "adaptive_fourth": partial(SelfAdaptiveWeights, power=4),
}
IN_TENSORS = ("loss_weighted", "gradnorm_sgd", "famo_sgd")
LEFT_TO_TENSORS = [VARIANTS[name] for name in IN_TENSORS]
EXTREMES = [0.0, 1e-38, 1e-30, 1e-3, 1.0, 3.0, 1e15, 3e38]


def extreme_histories(count, dtype):
    """Losses of many sizes, some of them below 0 or not finite: (steps, 2, count)."""
    generator = torch.Generator().manual_seed(count)
    chosen = torch.randint(len(EXTREMES), (60, 2, count), generator=generator)
    losses = torch.tensor(EXTREMES, dtype=dtype)[chosen]
    losses[10:30] = losses[10:30].clamp(1e-3, 3.0)  # at times nothing is out of the ordinary
    losses[40:] = torch.rand(20, 2, count, generator=generator, dtype=dtype) + 0.1
    losses[35, 0, 0] = math.nan
    losses[36, 0, -1] = -2.0
    losses[50, 0, 0] = math.inf
    return losses


def same_bits(make, losses, norms, prior=None):
    """The weights and the state of one model are those of the first of two, at every step."""
    one, batch = make(prior=prior), make(prior=prior)
    used = 0
    for step, (both, norm) in enumerate(zip(losses, norms, strict=True)):
        measured = step % 9 != 4  # now and then some losses are not measured
        mask = None if measured else torch.ones_like(both, dtype=torch.bool)
        weights = one.update([*both[0]], None if mask is None else mask[0], [*norm[0]])
        expected = batch.update(both, mask, norm)[0]
        assert weights.dtype == both.dtype
        assert torch.equal(weights, expected), step
        used += one._runs._numbers is not None
        if step % 7 == 6:
            pairs = zip(
                tree.leaves(one._runs.tensors), tree.leaves(batch._runs.tensors), strict=True
            )
            assert all(torch.equal(a[0], b[0]) and a.dtype == b.dtype for a, b in pairs), step
    return used


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_model_has_the_bits_of_a_batch(make, dtype):
    for count in (1, 2, 3, 4, 5) if dtype == torch.float32 else (2, 5):
        losses, _, norms = histories(steps=40, runs=2, losses=count, dtype=dtype)
        used = same_bits(make, losses, norms, prior=None if count % 2 else range(1, count + 1))
        if make not in LEFT_TO_TENSORS:
            assert (used > 20) == (count < 5), (count, used)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", VARIANTS.values(), ids=VARIANTS.keys())
def test_losses_and_norms_of_any_size_have_them_too(make, dtype):
    for count in (1, 2, 3) if dtype == torch.float32 else (2,):
        losses = extreme_histories(count, dtype)
        same_bits(make, losses, losses.abs().nan_to_num(posinf=1.0).flip(0))


@every_rule
@pytest.mark.parametrize(
    "form", [tuple, torch.stack, lambda row: dict(zip("abc", row, strict=True))]
)
def test_every_form_of_the_losses_has_them(make, form):
    losses, _, norms = histories(steps=8, runs=2)
    rule, batch = make(), make()
    for row, norm in zip(losses, norms, strict=True):
        scalars = [value.clone().requires_grad_() for value in row[0]]
        weights = rule.update(form(scalars), None, form([*norm[0]]))
        weights = torch.stack([*weights.values()]) if isinstance(weights, dict) else weights
        assert torch.equal(weights, batch.update(row, None, norm)[0])
        assert not weights.requires_grad


def test_a_rule_that_changes_the_formula_of_another_keeps_its_own():
    class Doubled(SoftAdapt):
        def _weigh(self, state, measured):
            return super()._weigh(state, measured) * torch.tensor([[1.0, 2.0]])

    rule = Doubled()
    for _ in range(4):
        weights = rule.update([torch.tensor(1.0), torch.tensor(1.0)])
    torch.testing.assert_close(weights, torch.tensor([1 / 3, 2 / 3]))


def test_arguments_may_be_changed_between_calls():
    one, batch = SoftAdapt(1.0), SoftAdapt(1.0)
    random, drawn = RandomLossWeighting(), RandomLossWeighting()
    losses, _, _ = histories(steps=20, runs=2)
    for step, row in enumerate(losses):
        for rule in (one, batch):
            rule.beta = float(step % 5)
            rule.scale = ["sum", "count"][step % 2]
            rule.every = 1 + step // 10
        for rule in (random, drawn):
            rule.seed = step // 3
        assert torch.equal(one.update([*row[0]]), batch.update(row)[0])
        assert torch.equal(random.update([*row[0]]), drawn.update(row)[0])


def test_what_comes_back_and_what_is_saved_are_no_part_of_the_rule():
    one, other = Fixed((1, 2)), Fixed((1, 2))
    adapt, same = SoftAdapt(3.0), SoftAdapt(3.0)
    for factor in (1.0, 0.9, 0.8, 0.4):
        losses = [torch.tensor(factor), torch.tensor(2.0)]
        for rule, expected in ((one, other), (adapt, same)):
            weights = rule.update(losses)
            assert torch.equal(weights, expected.update(losses))
            weights.fill_(7.0)
            for leaf in tree.leaves(rule.state_dict()):
                leaf.fill_(7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["famo_bounds", "time_schedule", "log_schedule"])
def test_rules_of_three_losses_have_them_too(name, dtype):
    losses, _, norms = histories(steps=60, runs=2, losses=3, dtype=dtype)
    used = same_bits(MAKE[name], losses, norms)
    assert (used > 30) == (name != "famo_bounds")  # whose optimizer is SGD


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lower_bounds_have_them_too(dtype):
    losses, _, norms = histories(steps=60, runs=2, losses=3, dtype=dtype)
    assert same_bits(partial(FAMO, lower_bounds=(-1, 0, 0.05)), losses, norms) > 30
    assert same_bits(partial(TimeSchedule, [2.0, [(7, 0.5), (30, 3)]]), losses, norms) > 30
