"""Rules that balance losses from their values are their formulas, written anew in NumPy."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from autoloss_gym import random
from autoloss_gym.optimizers import SGD, Adam
from autoloss_gym.weightings import FAMO, CoVWeighting, IMTLBalance, ReLoBRaLo, SelfAdaptiveWeights
from tests.weightings.test_weightings import histories

DOUBLE = torch.float64
OPTIMIZERS = {"Adam": (Adam, torch.optim.Adam), "SGD": (SGD, torch.optim.SGD)}


def softmax(values):
    terms = np.exp(values - np.max(values))
    return terms / terms.sum()


def masked_histories(losses=3, steps=40):
    """Losses of one model in float64, and which of them were measured; at first all are."""
    values, refreshed, _ = histories(steps, 1, losses, DOUBLE)
    refreshed[:3] = True
    return values, refreshed


# ReLoBRaLo


class Looking:
    """ReLoBRaLo of one model, all of whose losses are measured at every call."""

    def __init__(self, count, alpha, temperature):
        self.alpha, self.temperature = alpha, temperature
        self.learned = np.ones(count)
        self.values = []

    def balanced(self, earlier):
        return len(self.learned) * softmax(self.values[-1] / (self.temperature * earlier))

    def update(self, losses, looks_back):
        self.values.append(losses)
        if len(self.values) > 1:
            past = self.balanced(self.values[0]) if looks_back else self.learned
            recent = self.balanced(self.values[-2])
            self.learned = self.alpha * past + (1 - self.alpha) * recent
        return self.learned


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize(("rho", "looks_back"), [(1.0, False), (0.0, True)])
def test_relobralo_averages_softmaxes_of_relative_losses(count, rho, looks_back):
    rule = ReLoBRaLo(0.9, temperature=0.3, rho=rho)
    other = Looking(count, 0.9, 0.3)
    for losses in histories(30, 1, count, DOUBLE)[0]:
        weights = rule.update(losses)[0]
        np.testing.assert_allclose(weights, other.update(losses[0].numpy(), looks_back), rtol=1e-9)
        assert weights.sum().item() == pytest.approx(count)


def test_relobralo_looks_back_as_often_as_it_is_told_and_by_the_key_of_the_run():
    """Which calls look back is seen in the weights: with α = 1 they change at these calls alone."""
    rule, again = ReLoBRaLo(1.0, rho=0.8), ReLoBRaLo(1.0, rho=0.8)
    losses = histories(50, 200, 2, DOUBLE)[0]
    keys = random.fold_in(torch.arange(200), "keys")
    again.reset(keys=keys)
    weights = torch.stack([rule.update(row)[:, 0] for row in losses])
    others = torch.stack([again.update(row)[:, 0] for row in losses])
    looked = weights[2:] != weights[1:-1]
    assert looked.double().mean().item() == pytest.approx(0.2, abs=0.01)
    assert (looked != (others[2:] != others[1:-1])).any(dim=1).all()
    model = ReLoBRaLo(1.0, rho=0.8)
    model.reset(keys=keys[7:8])
    alone = [model.update(row[7]) for row in losses]  # in plain numbers, whose draws are blocks
    assert torch.equal(torch.stack(alone)[:, 0], others[:, 7])


def test_relobralo_uses_the_values_that_were_measured():
    rule, other = ReLoBRaLo(0.5, rho=1.0), ReLoBRaLo(0.5, rho=1.0)
    for losses in ([4.0, 2.0], [2.0, 3.0]):
        a, b = rule.update(losses), other.update(losses)
    idle = rule.update([9.0, 9.0], [False, False])
    assert torch.equal(idle, a)
    a = rule.update([1.0, 99.0], [True, False])
    expected = 0.5 * b.numpy() + 0.5 * 2 * softmax(np.array([1 / 2, 3 / 2]))
    np.testing.assert_allclose(a, expected, rtol=1e-6)


def test_relobralo_leaves_out_a_step_whose_ratio_is_not_finite():
    rule = ReLoBRaLo(0.5, rho=1.0)
    rule.update([0.0, 1.0])
    assert rule.update([1.0, 1.0]).tolist() == [1.0, 1.0]
    assert rule.update([0.5, 1.0])[0] < 1


# FAMO


class Logits:
    """FAMO as its algorithm has it: losses before and after each update."""

    def __init__(self, optimizer, rate, decay, bounds):
        self.logits = torch.zeros(len(bounds), dtype=DOUBLE, requires_grad=True)
        self.optimizer = optimizer([self.logits], lr=rate, weight_decay=decay)
        self.bounds = np.array(bounds)

    def weights(self, losses):
        terms = softmax(self.logits.detach().numpy()) / (losses - self.bounds)
        return terms / terms.sum()

    def learn(self, before, after):
        fall = torch.from_numpy(np.log(before - self.bounds) - np.log(after - self.bounds))
        self.optimizer.zero_grad()
        (torch.softmax(self.logits, dim=0) * fall).sum().backward()
        self.optimizer.step()


@pytest.mark.parametrize("name", ["Adam", "SGD"])
@pytest.mark.parametrize(
    ("bounds", "decay"), [((0, 0, 0), 0.01), ((-1, 0.05, 0), 0.3), ((0,), 0.01), ((0,) * 50, 0.0)]
)
def test_famo_descends_the_fall_of_the_logarithms_as_autograd_does(name, bounds, decay):
    ours, theirs = OPTIMIZERS[name]
    given = bounds if any(bounds) else None
    rule = FAMO(decay, optimizer=ours(learning_rate=0.1), lower_bounds=given)
    other = Logits(theirs, 0.1, decay, bounds)
    values = histories(30, 1, len(bounds), DOUBLE)[0][:, 0].numpy()
    for step, losses in enumerate(values):
        if step:
            other.learn(values[step - 1], losses)
        np.testing.assert_allclose(rule.update(list(losses)), other.weights(losses), rtol=1e-7)


def test_famo_takes_a_loss_that_was_not_refreshed_for_unchanged():
    rule, other = FAMO(), FAMO()
    for each in (rule, other):
        each.update([2.0, 1.0, 3.0])
    a = rule.update([1.0, 99.0, 0.5], [True, False, False])
    assert torch.equal(a, other.update([1.0, 1.0, 3.0]))
    assert torch.equal(rule.update([1.0, 0.5, 3.0], [False, True, True]), other.update([1, 0.5, 3]))


def test_famo_lets_losses_of_different_rates_fall_alike():
    """Two losses θ_k²/2 of curvatures 1 and 5, both by gradient steps on the weighted sum."""
    rates = {}
    for name, rule in {"famo": FAMO(0.0, optimizer=Adam(learning_rate=0.1)), "equal": None}.items():
        theta, curvatures = torch.ones(2, dtype=DOUBLE), torch.tensor([1.0, 5.0], dtype=DOUBLE)
        for _ in range(300):
            losses = curvatures * theta * theta / 2
            weights = torch.full_like(losses, 0.5) if rule is None else rule.update(losses)
            theta = theta - 0.005 * weights * curvatures * theta / (weights * losses).sum()
        rates[name] = torch.log(curvatures * theta * theta / 2)
    spread = {name: (logs[0] - logs[1]).abs().item() for name, logs in rates.items()}
    assert spread["famo"] < spread["equal"] / 2


@pytest.mark.parametrize(
    ("loss", "bounds"), [(0.0, None), (-5.0, None), (1e-12, None), (2, (3, 0))]
)
def test_famo_names_a_loss_at_its_lower_bound_once(loss, bounds):
    rule = FAMO(lower_bounds=bounds)
    for step in range(4):
        expected = "a loss is less than 1e-8 above " + (
            "0" if bounds is None else "its lower bound"
        )
        with pytest.warns(RuntimeWarning, match=expected) if step == 0 else nullcontext():
            weights = rule.update(torch.tensor([loss, 1.0]))
        assert torch.isfinite(weights).all()
        assert weights[0] > 0.99


# Weights that are learned loss by loss


def descended(rule, objective, start, theirs, rate, losses, refreshed, weight):
    """The weights of a rule are those by PyTorch's optimizer on an objective of each loss."""
    count = losses.shape[2]
    learned = [torch.tensor(start, dtype=DOUBLE, requires_grad=True) for _ in range(count)]
    optimizers = [theirs([each], lr=rate) for each in learned]
    for row, mask in zip(losses, refreshed, strict=True):
        expected = [weight(each).item() for each in learned]
        np.testing.assert_allclose(rule.update(row, mask)[0], expected, rtol=1e-7)
        for index, (each, optimizer) in enumerate(zip(learned, optimizers, strict=True)):
            if mask[0, index]:
                optimizer.zero_grad()
                objective(each, row[0, index]).backward()
                optimizer.step()


@pytest.mark.parametrize("name", ["Adam", "SGD"])
@pytest.mark.parametrize("count", [1, 3, 50])
def test_imtl_descends_its_objective_as_autograd_does(name, count):
    ours, theirs = OPTIMIZERS[name]
    rule = IMTLBalance(ours(learning_rate=0.1))
    losses, refreshed = masked_histories(count)
    objective = lambda scale, loss: torch.exp(scale) * loss - scale  # noqa: E731
    descended(rule, objective, 0.0, theirs, 0.1, losses, refreshed, torch.exp)


def test_imtl_brings_steady_losses_to_one():
    rule, losses = IMTLBalance(SGD(learning_rate=0.3)), torch.tensor([0.2, 1.0, 3.0], dtype=DOUBLE)
    for _ in range(600):
        weights = rule.update(losses)
    np.testing.assert_allclose(weights * losses, np.ones(3), rtol=1e-9)


@pytest.mark.parametrize("name", ["Adam", "SGD"])
@pytest.mark.parametrize(
    ("arguments", "start", "mask"),
    [({"power": q}, 1.0, lambda each, q=q: each**q) for q in (1, 2, 3, 4)]
    + [({"mask": "sigmoid"}, 0.0, torch.sigmoid)],
)
def test_self_adaptive_weights_ascend_the_weighted_sum_as_autograd_does(
    name, arguments, start, mask
):
    ours, theirs = OPTIMIZERS[name]
    rule = SelfAdaptiveWeights(ours(learning_rate=0.002), **arguments)
    losses, refreshed = masked_histories()
    objective = lambda each, loss: -mask(each) * loss  # noqa: E731
    descended(rule, objective, start, theirs, 0.002, losses, refreshed, mask)


@pytest.mark.parametrize("loss", [0.0, -5.0, 3e38])
@pytest.mark.parametrize(
    "make",
    [
        IMTLBalance,
        SelfAdaptiveWeights,
        lambda optimizer: SelfAdaptiveWeights(optimizer, power=4),
        lambda optimizer: SelfAdaptiveWeights(optimizer, mask="sigmoid"),
    ],
)
def test_learned_weights_stay_numbers_for_any_loss(make, loss):
    rule = make(Adam(learning_rate=3.0))
    warned = pytest.warns(RuntimeWarning, match="a loss is negative") if loss < 0 else nullcontext()
    with warned:
        for _ in range(200):
            weights = rule.update(torch.tensor([loss, 1.0]))
            assert torch.isfinite(weights).all()
            assert (weights >= 0).all()


# CoV-Weighting


class Varying:
    """CoV-Weighting of one loss, by Welford's algorithm, or by sums with shares of the past."""

    def __init__(self, decay):
        self.decay = decay
        self.values, self.ratios = [], []

    def shares(self, count):
        """The share of each of so many values in a mean."""
        if self.decay == 1:
            return np.full(count, 1 / count)
        shares = (1 - self.decay) * self.decay ** np.arange(count - 1, -1, -1.0)
        shares[0] = self.decay ** (count - 1)
        return shares

    def learn(self, value):
        mean = self.shares(len(self.values)) @ self.values if self.values else value
        self.ratios.append(value / mean)
        self.values.append(value)

    @property
    def coefficient(self):
        shares = self.shares(len(self.ratios))
        mean = shares @ self.ratios
        return math.sqrt(shares @ (np.array(self.ratios) - mean) ** 2 + 1e-8) / mean


@pytest.mark.parametrize("decay", [1.0, 0.9])
@pytest.mark.parametrize("count", [1, 3, 50])
def test_cov_weights_are_the_coefficients_of_variation_of_the_values_before(decay, count):
    rule = CoVWeighting(decay)
    losses, refreshed = masked_histories(count)
    others = [Varying(decay) for _ in range(count)]
    for step, (row, mask) in enumerate(zip(losses, refreshed, strict=True)):
        weights = rule.update(row, mask)[0]
        expected = np.ones(count)
        if step >= 2:
            expected = np.array([other.coefficient for other in others])
        np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-7)
        for index, other in enumerate(others):
            if mask[0, index]:
                other.learn(row[0, index].item())


def test_cov_weights_of_losses_that_stand_still_are_equal_and_one_that_varies_gets_all():
    still, moving = CoVWeighting(), CoVWeighting()
    for step in range(20):
        weights = still.update([2.0, 0.0, 1e30])
        others = moving.update([2.0, 1.0 + step % 2])
    np.testing.assert_allclose(weights, [1 / 3] * 3, rtol=1e-6)
    assert others[1] > 0.999


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: FAMO(lower_bounds=(0, math.nan)), r"lower_bounds=\[0, nan\]: expected finite numb"),
        (lambda: FAMO(lower_bounds=3), "lower_bounds=3: expected finite numbers"),
        (lambda: FAMO(lower_bounds=()), r"lower_bounds=\[\]: expected finite numbers"),
        (lambda: FAMO(lower_bounds=(0, 1)).update([1.0]), r"lower_bounds=\(0.0, 1.0\): expected 1 n"),
        (lambda: FAMO(-1.0), "decay=-1.0: expected a finite number of at least 0"),
        (lambda: ReLoBRaLo(1.5), "alpha=1.5: expected a number from 0 to 1"),
        (lambda: ReLoBRaLo(rho=-0.1), "rho=-0.1: expected a number from 0 to 1"),
        (lambda: ReLoBRaLo(temperature=0.0), "temperature=0.0: expected a positive"),
        (lambda: CoVWeighting(2.0), "decay=2.0: expected a number from 0 to 1"),
        (lambda: SelfAdaptiveWeights(power=5), "power=5: expected a whole number from 1 to 4"),
        (lambda: SelfAdaptiveWeights(mask="soft"), "mask='soft': expected 'polynomial' or 'sigm"),
        (lambda: IMTLBalance(3), "optimizer=3: expected an optimizer of autoloss_gym.optimizers"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_one_line(call, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        call()
    assert "\n" not in str(caught.value)
