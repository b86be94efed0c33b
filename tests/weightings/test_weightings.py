"""The rules that SoftAdapt is compared with, and what all rules keep."""

import copy
import io
import math
import pickle
import runpy
import subprocess
import sys
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch

from autoloss_gym import random
from autoloss_gym.optimizers import SGD, Adam
from autoloss_gym.tools import tree
from autoloss_gym.weightings import (
    FAMO,
    CoVWeighting,
    DynamicWeightAverage,
    Equal,
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
from tests.support.paths import ROOT

MAKE = {
    "softadapt": partial(SoftAdapt, beta=2.0, order=2, normalized=True),
    "loss_weighted": partial(
        SoftAdapt, beta=2.0, loss_weighted=True, slope="least_squares", loss_value="mean"
    ),
    "kept": partial(SoftAdapt, beta=2.0, every=3, scale="count"),
    "equal": Equal,
    "fixed": partial(Fixed, weights=(3, 1, 2)),
    "dwa": partial(DynamicWeightAverage, window=2),
    "uncertainty": UncertaintyWeighting,
    "gradnorm": GradNorm,
    "random": partial(RandomLossWeighting, seed=3),
    "relobralo": partial(ReLoBRaLo, 0.7, rho=0.6),
    "famo": FAMO,
    "famo_bounds": partial(FAMO, 0.1, optimizer=SGD(learning_rate=0.5), lower_bounds=(-1, 0, 0.05)),
    "imtl": IMTLBalance,
    "cov": CoVWeighting,
    "cov_decay": partial(CoVWeighting, 0.8, every=2),
    "annealing": GradientAnnealing,
    "ntk": NTKWeights,
    "self_adaptive": partial(SelfAdaptiveWeights, Adam(learning_rate=0.1), power=3),
    "sigmoid": partial(SelfAdaptiveWeights, mask="sigmoid"),
    "time_schedule": partial(TimeSchedule, [1, [(5, 0), (20, 3)], [(0, 0.1), (9, 7), (12, 2)]]),
    "log_schedule": partial(
        TimeSchedule, [2, [(5, 0.1), (20, 3)], [(0, 1), (9, 0)]], between="log"
    ),
}
NOT_READING = {"equal", "fixed", "random", "kept", "time_schedule", "log_schedule"}
READING = [name for name in MAKE if name not in NOT_READING]
every_rule = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE.keys())
every_reading_rule = pytest.mark.parametrize("make", [MAKE[name] for name in READING], ids=READING)


def histories(steps=40, runs=33, losses=3, dtype=torch.float32):
    """Positive losses, which of them were measured, and gradient norms: (steps, runs, losses)."""
    generator = torch.Generator().manual_seed(0)
    draw = torch.rand(3, steps, runs, losses, generator=generator, dtype=dtype)
    return (
        draw[0] + 0.1,
        (draw[1] < 0.7) | (torch.arange(steps) == 0)[:, None, None],
        4 * draw[2] + 0.1,
    )


def close(weights, *rows, tolerance=1e-6):
    torch.testing.assert_close(
        weights, torch.tensor(rows, dtype=weights.dtype), rtol=tolerance, atol=tolerance
    )


# Each rule is its formula


@pytest.mark.parametrize(("scale", "expected"), [("sum", 1 / 3), ("count", 1.0)])
def test_equal_weights_sum_to_one_or_are_the_plain_sum(scale, expected):
    close(Equal(scale=scale).update(torch.tensor([[1.0, 5.0, math.nan]])), [expected] * 3)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, (3, 1, 0)),
        ({"scale": "sum"}, (0.75, 0.25, 0)),
        ({"scale": "count"}, (2.25, 0.75, 0)),
        ({"prior": (1, 2, 3)}, (3, 2, 0)),
    ],
)
def test_fixed_weights_are_those_that_were_given(arguments, expected):
    rule = Fixed(weights=(3, 1, 0), **arguments)
    for losses in ([[1.0, 2.0, 3.0]] * 2, [[9.0, math.inf, 0.0]] * 2):
        close(rule.update(torch.tensor(losses)), expected, expected)


def test_dynamic_weight_average_is_the_softmax_of_the_ratios_of_the_last_two_losses():
    rule = DynamicWeightAverage()
    close(rule.update([4.0, 1.0, 2.0])[None], [1.0, 1.0, 1.0])
    weights = rule.update(torch.tensor([2.0, 2.0, 2.0], dtype=torch.float64))
    terms = np.exp(np.array([2 / 4, 2 / 1, 2 / 2]) / 2.0)
    np.testing.assert_allclose(weights, 3 * terms / terms.sum(), rtol=1e-7)


def test_dynamic_weight_average_at_temperature_one_gives_the_published_values():
    """n softmax(f(i) / f(i−1)), as the library neuraloperator has it under the name SoftAdapt."""
    rule = DynamicWeightAverage(temperature=1.0)
    rule.update([2.0, 4.0])
    close(rule.update([1.0, 4.5])[None], [0.69729, 1.30271], tolerance=5e-6)


def test_dynamic_weight_average_over_a_window_compares_the_means_of_two_windows():
    rule, losses = (
        DynamicWeightAverage(window=2, temperature=0.5),
        torch.rand(7, 1, 2, dtype=torch.float64),
    )
    weights = [rule.update(row) for row in losses]
    for step, row in enumerate(weights):
        values = losses[: step + 1, 0].numpy()
        ratios = values[-2:].sum(axis=0) / values[-4:-2].sum(axis=0) if step >= 3 else np.ones(2)
        np.testing.assert_allclose(
            row[0], 2 * np.exp(ratios / 0.5) / np.exp(ratios / 0.5).sum(), rtol=1e-12
        )


def test_dynamic_weight_average_is_equal_where_a_loss_was_zero_and_takes_huge_losses():
    rule = DynamicWeightAverage()
    rule.update(torch.tensor([[0.0, 0.0], [1e-3, 1.0], [3e38, 3e38]]))
    close(
        rule.update(torch.tensor([[0.0, 1.0], [1e30, 1.0], [3e38, 3e38]])), [1, 1], [2, 0], [1, 1]
    )


@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_uncertainty_weighting_descends_its_objective_as_autograd_does(name):
    """½ exp(−s) L + ½ s for each loss, by PyTorch's optimizer; a loss that was not refreshed is no
    part of the objective.
    """
    ours, theirs = {"Adam": (Adam, torch.optim.Adam), "SGD": (SGD, torch.optim.SGD)}[name]
    rule = UncertaintyWeighting(optimizer=ours(learning_rate=0.1))
    losses, refreshed, _ = histories(30, 1, 3, torch.float64)
    refreshed[:3] = True
    variances = [torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(3)]
    optimizers = [theirs([variance], lr=0.1) for variance in variances]
    for row, mask in zip(losses, refreshed, strict=True):
        expected = [0.5 * math.exp(-variance.item()) for variance in variances]
        np.testing.assert_allclose(rule.update(row, mask)[0], expected, rtol=1e-7)
        for index, (variance, optimizer) in enumerate(zip(variances, optimizers, strict=True)):
            if mask[0, index]:
                optimizer.zero_grad()
                (0.5 * torch.exp(-variance) * row[0, index] + 0.5 * variance).backward()
                optimizer.step()


def test_uncertainty_weights_of_steady_losses_become_half_their_inverse():
    rule, losses = (
        UncertaintyWeighting(optimizer=SGD(learning_rate=0.5)),
        torch.tensor([[0.2, 1.0, 3.0]], dtype=torch.float64),
    )
    for _ in range(400):
        weights = rule.update(losses)
    np.testing.assert_allclose(weights, 0.5 / losses, rtol=1e-9)
    summed = UncertaintyWeighting(scale="sum").update(losses)
    close(summed, [1 / 3] * 3)


@pytest.mark.parametrize("loss", [0.0, -5.0, 1e-30, 3e38])
def test_uncertainty_weights_stay_numbers_for_any_loss(loss):
    rule = UncertaintyWeighting(optimizer=Adam(learning_rate=1.0))
    warned = pytest.warns(RuntimeWarning, match="a loss is negative") if loss < 0 else nullcontext()
    with warned:
        for _ in range(200):
            weights = rule.update(torch.tensor([loss, 1.0]))
    assert 0 < weights[0] < 1e13
    assert weights[1] == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("name", ["Adam", "SGD"])
@pytest.mark.parametrize("alpha", [1.5, 0.0])
def test_gradnorm_descends_its_objective_as_autograd_does(name, alpha):
    """Algorithm 1 for one model, with PyTorch's optimizer and the target held constant."""
    ours, theirs = {"Adam": (Adam, torch.optim.Adam), "SGD": (SGD, torch.optim.SGD)}[name]
    rule = GradNorm(alpha=alpha, optimizer=ours(learning_rate=0.02))
    losses, _, norms = histories(30, 1, 3, torch.float64)
    learned = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer = theirs([learned], lr=0.02)
    for row, norm in zip(losses, norms, strict=True):
        np.testing.assert_allclose(
            rule.update(row, gradient_norms=norm)[0], learned.detach(), rtol=1e-7
        )
        weighted = learned * norm[0]
        ratios = row[0] / losses[0, 0]
        target = (weighted.mean() * (ratios / ratios.mean()) ** alpha).detach()
        optimizer.zero_grad()
        (weighted - target).abs().sum().backward()
        optimizer.step()
        with torch.no_grad():
            learned.mul_(3 / learned.sum())


def test_gradnorm_without_a_preference_makes_the_weighted_norms_equal():
    rule, norms = GradNorm(alpha=0.0, optimizer=Adam(learning_rate=2e-3)), torch.tensor([1.0, 4.0])
    for _ in range(800):
        weights = rule.update([1.0, 1.0], gradient_norms=norms)
    close(weights[None], [1.6, 0.4], tolerance=5e-3)


def test_gradnorm_learns_from_the_norms_and_losses_that_were_last_measured():
    rule, other = GradNorm(), GradNorm()
    for each in (rule, other):
        each.update([2.0, 1.0, 3.0], gradient_norms=[1.0, 5.0, 2.0])
    for _ in range(5):
        a = rule.update([1.0, 99.0, 0.0], [True, False, False], [3.0, 0.0, math.nan])
        b = other.update([1.0, 1.0, 3.0], gradient_norms=[3.0, 5.0, 2.0])
        assert torch.equal(a, b)
    assert not torch.equal(a, torch.ones(3))


def test_gradnorm_needs_the_norms():
    with pytest.raises(
        ValueError,
        match=r"gradient_norms=None: .* GradNorm needs .*; give GradNorm\(shared=.* or update\(losses, gradient_norms=",
    ) as caught:
        GradNorm().update([1.0, 2.0])
    assert "\n" not in str(caught.value)


def test_gradnorm_takes_losses_and_norms_of_any_size():
    rule = GradNorm()
    extreme = torch.tensor([[0.0, 1.0], [1e30, 1e-30], [-1.0, 2.0], [1.0, 1.0]])
    for step in range(50):
        with pytest.warns(RuntimeWarning, match="negative") if step == 0 else nullcontext():
            weights = rule.update(extreme / (step + 1), gradient_norms=extreme.abs() * 3e8)
        assert (weights > 0).all()
        close(weights.sum(dim=1), *[2.0] * 4, tolerance=1e-5)


def test_random_weights_are_the_softmax_of_normal_draws():
    """log w_j − log w_k is then the difference of two normal numbers, with mean 0 and variance 2."""
    rule = RandomLossWeighting()
    weights = [rule.update(torch.ones(5000, 3)).double() for _ in range(4)]
    close(weights[0].sum(dim=1), *[1.0] * 5000)
    logs = torch.log(torch.cat(weights))
    differences = logs[:, :2] - logs[:, 1:]
    assert differences.mean().item() == pytest.approx(0.0, abs=0.03)
    assert differences.var(dim=0).tolist() == pytest.approx([2.0, 2.0], rel=0.05)
    assert differences.quantile(0.8413).item() == pytest.approx(math.sqrt(2), rel=0.05)
    consecutive = torch.corrcoef(torch.stack([torch.log(each[:, 0]) for each in weights]))
    assert (consecutive - torch.eye(4)).abs().max() < 0.06


def test_random_weights_follow_from_the_seed_and_the_key():
    losses, keys = torch.ones(3, 2), torch.tensor([5, 6, 7])
    first, again, other = RandomLossWeighting(), RandomLossWeighting(), RandomLossWeighting(seed=1)
    for rule in (first, again, other):
        rule.reset(keys=keys)
    a, b, c = (
        torch.stack([rule.update(losses) for _ in range(3)]) for rule in (first, again, other)
    )
    assert torch.equal(a, b)
    assert not (a == c).any()
    assert len(a.flatten().unique()) == a.numel()


# What all rules keep


@every_rule
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("prior", [None, (1, 2, 3)])
def test_a_run_gets_the_same_bits_alone_and_in_a_batch(make, dtype, prior):
    losses, refreshed, norms = histories(dtype=dtype)
    keys = random.fold_in(torch.arange(33), "runs")
    batch = make(prior=prior)
    batch.reset(keys=keys)
    together = torch.stack(
        [batch.update(*each) for each in zip(losses, refreshed, norms, strict=True)]
    )
    assert together.dtype == dtype
    for runs in ([5], [32], [8, 1, 20], list(range(17))):
        some = make(prior=prior)
        some.reset(keys=keys[runs])
        for step in range(40):
            weights = some.update(losses[step, runs], refreshed[step, runs], norms[step, runs])
            assert torch.equal(weights, together[step, runs]), (runs, step)


@every_rule
def test_one_model_is_a_batch_of_one(make):
    losses, refreshed, norms = histories(runs=1)
    single, batch = make(), make()
    for row, mask, norm in zip(losses, refreshed, norms, strict=True):
        scalars = [value.clone().requires_grad_() for value in row[0]]
        weights = single.update(scalars, mask[0].tolist(), list(norm[0]))
        assert weights.shape == (3,)
        assert torch.equal(weights, batch.update(row, mask, norm)[0])


@every_rule
def test_resetting_some_runs_begins_these_anew_and_leaves_their_neighbours(make):
    losses, refreshed, norms = histories(runs=6)
    rule, untouched, fresh = make(), make(), make()
    mask = torch.tensor([False, True, False, False, True, False])
    keys = torch.arange(6) + 100
    for step in range(20):
        if step == 8:
            rule.reset(mask, keys=keys)
            fresh.reset(keys=keys)
            rule.reset(torch.zeros(6, dtype=torch.bool))  # nobody
        told = losses[step], refreshed[step] | (step == 8), norms[step]
        weights, expected = rule.update(*told), untouched.update(*told)
        if step >= 8:
            assert torch.equal(weights[~mask], expected[~mask])
            assert torch.equal(weights[mask], fresh.update(*told)[mask])


@every_rule
def test_reset_begins_anew_with_another_number_of_runs(make):
    losses, refreshed, norms = histories(runs=4)
    rule, fresh = make(), make()
    for step in range(5):
        rule.update(losses[step], refreshed[step], norms[step])
    rule.reset()
    for step in range(8):
        told = losses[step, :2], refreshed[step, :2], norms[step, :2]
        assert torch.equal(rule.update(*told), fresh.update(*told))


@every_rule
def test_a_saved_rule_goes_on_with_the_same_bits(make):
    """In the middle of a history, through a file that is read without running code."""
    losses, refreshed, norms = histories(runs=5)
    first, second = make(), make()
    first.reset(keys=torch.arange(5) + 7)
    for step in range(40):
        if step in (0, 13):
            file = io.BytesIO()
            torch.save(first.state_dict(), file)
            file.seek(0)
            second = make()
            second.load_state_dict(torch.load(file, weights_only=True))
        told = losses[step], refreshed[step], norms[step]
        assert torch.equal(first.update(*told), second.update(*told))


@every_reading_rule
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_gives_its_run_the_prior_and_leaves_its_neighbour(make, bad):
    """It is said once, and when the run's losses are finite again it goes on with those that were."""
    losses, _, norms = histories(runs=2)
    rule, healthy = make(prior=(1, 1, 2)), make(prior=(1, 1, 2))
    for step in range(12):
        values, skipped = losses[step].clone(), torch.ones(2, 3, dtype=torch.bool)
        if step in (4, 5):
            values[0, 2], skipped[0, 2] = bad, False
            with (
                pytest.warns(RuntimeWarning, match="not finite.* gets the prior")
                if step == 4
                else nullcontext()
            ):
                weights = rule.update(values, gradient_norms=norms[step])
            assert (weights[0] / weights[0, 0]).tolist() == pytest.approx([1, 1, 2], rel=1e-6)
        else:
            weights = rule.update(values, gradient_norms=norms[step])
        expected = healthy.update(losses[step], skipped, norms[step])
        assert torch.equal(weights[1], expected[1])
        if step not in (4, 5):
            assert torch.equal(weights[0], expected[0])


@every_rule
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_no_rule_asks_a_device_for_a_value(make, dtype):
    """The meta device refuses to be read; on another one the host would wait for it."""
    rule = make(prior=(1, 1, 2))
    losses = torch.ones(5, 3, dtype=dtype, device="meta")
    for _ in range(4):
        weights = rule.update(losses, losses > 0, losses)
    assert (weights.device.type, weights.dtype, weights.shape) == ("meta", dtype, (5, 3))


OF_THREE = {"fixed", "famo_bounds", "time_schedule", "log_schedule"}  # losses, no more, no fewer


@pytest.mark.filterwarnings("ignore:.*losses of shape .9, 1. are 9 runs:RuntimeWarning")
@pytest.mark.parametrize("name", [name for name in MAKE if name not in OF_THREE])
@pytest.mark.parametrize("count", [1, 50])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_one_loss_and_fifty_have_the_same_bits_alone_and_in_a_batch(name, count, dtype):
    losses, refreshed, norms = histories(15, 9, count, torch.float64)
    losses, norms = losses.to(dtype), norms.to(dtype)
    alone, batch = MAKE[name](), MAKE[name]()
    keys = torch.arange(9) + 5
    alone.reset(keys=keys[4:5])
    batch.reset(keys=keys)
    for told in zip(losses, refreshed, norms, strict=True):
        weights = batch.update(*told)
        assert weights.dtype == dtype
        assert torch.isfinite(weights).all()
        assert torch.equal(alone.update(*(each[4:5] for each in told))[0], weights[4])


@every_rule
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda rule: pickle.loads(pickle.dumps(rule))])
def test_a_copy_goes_on_with_the_same_bits(make, copied):
    losses, refreshed, norms = histories(runs=1)
    rule, other = make(), make()
    for step, told in enumerate(zip(losses, refreshed, norms, strict=True)):
        rows = told[0][0], None if step % 3 else told[1][0], told[2][0]
        if step in (0, 1, 9, 20):
            other = copied(rule)
        assert torch.equal(rule.update(*rows), other.update(*rows))


@every_rule
def test_what_comes_back_is_no_part_of_the_rule(make):
    losses, refreshed, norms = histories(runs=4)
    rule, other = make(), make()
    for told in zip(losses, refreshed, norms, strict=True):
        weights, expected = rule.update(*told), other.update(*told)
        assert torch.equal(weights, expected)
        weights.fill_(77.0)
        for leaf in tree.leaves(rule.state_dict()):
            leaf.fill_(7)


@every_rule
def test_gradients_may_be_off_and_inputs_stay_as_they_are(make):
    losses, refreshed, norms = histories(runs=4)
    rule, other = make(), make()
    for told in zip(losses, refreshed, norms, strict=True):
        copies = [each.clone() for each in told]
        with torch.no_grad():
            weights = rule.update(*told)
        assert torch.equal(weights, other.update(*told))
        assert all(torch.equal(one, two) for one, two in zip(copies, told, strict=True))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda rule: rule.update(torch.tensor(1.0)), r"losses of shape \(\): expected \(n,\), n scalars, or \(num_envs, n\)"),
        (lambda rule: rule.update([]), r"losses of shape \(0,\): expected \(n,\)"),
        (lambda rule: rule.update([torch.ones(4)] * 2), r"losses\[0\] of shape \(4,\).* torch.stack\(losses, dim=1\)"),
        (lambda rule: rule.update(torch.ones(3, 3)), r"shape \(3, 3\): expected \(2, 3\) as before; reset\(\) begins anew"),
        (lambda rule: rule.update(torch.ones(2, 3), [True] * 3), r"refreshed of shape \(3,\): expected \(2, 3\)"),
        (lambda rule: rule.reset(torch.ones(3, dtype=torch.bool)), r"runs of shape \(3,\): expected \(2,\)"),
        (lambda rule: rule.load_state_dict({"weights": torch.ones(2, 3)}), "state without a tensor 'keys': expected .* SoftAdapt"),
        (lambda rule: rule.load_state_dict({"epoch": torch.ones(1)}), "state with 'epoch': expected the state of SoftAdapt"),
        (lambda rule: Fixed(weights=(1, 2)).update([1.0]), r"weights=\(1.0, 2.0\): expected 1 numbers"),
        (lambda rule: SoftAdapt(prior=(1, 2)).update([1.0]), r"prior=\(1.0, 2.0\): expected 1 numbers"),
        (lambda rule: DynamicWeightAverage(temperature=0.0), "temperature=0.0: expected a positive"),
        (lambda rule: DynamicWeightAverage(window=0), "window=0: expected a whole number from 1"),
        (lambda rule: GradNorm(alpha=-1.0), "alpha=-1.0: expected a finite number of at least 0"),
        (lambda rule: Fixed(weights=(0, 0)), r"weights=\[0, 0\]: expected .* the largest of them from 1e-30"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(call, expected):
    rule = SoftAdapt()
    rule.update(torch.ones(2, 3))
    with pytest.raises(ValueError, match=expected) as caught:
        call(rule)
    assert "\n" not in str(caught.value)


def test_a_state_of_another_order_is_refused():
    rule = SoftAdapt(order=3)
    rule.update([1.0, 2.0])
    with pytest.raises(
        ValueError,
        match="state of SoftAdapt with order=3: expected order=1, as this rule has it",
    ):
        SoftAdapt().load_state_dict(rule.state_dict())


def test_the_example_of_a_training_loop_learns():
    path = ROOT / "examples" / "own_training_loop.py"
    assert len(path.read_text().splitlines()) <= 15
    torch.manual_seed(0)
    final = runpy.run_path(str(path))
    assert final["losses"][0] < 0.1


def test_importing_the_rules_does_not_import_the_compiler_of_pytorch():
    """The compiler takes about as long to import as PyTorch itself."""
    program = "import sys, autoloss_gym.weightings; print('torch._dynamo' in sys.modules)"
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
