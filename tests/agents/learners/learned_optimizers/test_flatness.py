import math

import pytest
import torch

from agents.learners.learned_optimizers.flatness import free_energy, hessian_norm
from agents.learners.learned_optimizers.posterior import (
    deviation_of,
    divergence_from_prior,
    spread_of,
)

KEYS = torch.arange(2, dtype=torch.int64)


def quadratics():
    """½ xᵀHx of two runs, and the greatest |eigenvalue| of each H."""
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(2, 6, 6, generator=generator, dtype=torch.float64)
    matrices = half + half.transpose(1, 2)

    def loss(point):
        return torch.einsum("ni,nij,nj->n", point, matrices, point) / 2

    return loss, torch.linalg.eigvalsh(matrices).abs().amax(dim=1)


def test_the_hessian_norm_is_the_greatest_eigenvalue():
    loss, expected = quadratics()
    found = hessian_norm(loss, torch.zeros(2, 6, dtype=torch.float64), KEYS, iterations=300)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0.0)
    few = hessian_norm(loss, torch.zeros(2, 6, dtype=torch.float64), KEYS, iterations=3)
    assert (few <= expected).all()
    assert not few.requires_grad


def test_the_slope_of_the_hessian_norm_is_that_of_the_eigenvalue():
    """Of Σ cᵢ xᵢ⁴ / 12 the Hessian is diag(cᵢ xᵢ²): the derivative of the greatest is 2 c x."""
    factors = torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)
    point = torch.tensor([[0.5, 2.0, 1.0], [4.0, 1.0, 1.0]], dtype=torch.float64)
    own = point.clone().requires_grad_()
    value = hessian_norm(lambda rows: (factors * rows**4).sum(dim=1) / 12, own, KEYS, 60)
    torch.testing.assert_close(value, torch.tensor([12.0, 16.0], dtype=torch.float64))
    value.sum().backward()
    expected = torch.tensor([[0.0, 12.0, 0.0], [8.0, 0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(own.grad, expected, rtol=1e-6, atol=1e-6)


def test_the_free_energy_of_a_quadratic_is_the_known_integral():
    """−log E exp(−½ h x²) = ½ log(1 + h r²) for x normal with deviation r."""
    rows = 400  # estimates of the expectation, whose mean is one of many more draws
    for curvature in (0.5, 8.0):
        found = free_energy(
            lambda points, h=curvature: h * points[:, 0] ** 2 / 2,
            torch.zeros(rows, 1, dtype=torch.float64), torch.arange(rows), draws=20, radius=0.5,
        )  # fmt: skip
        expected = math.log(1 + curvature * 0.25) / 2
        assert -torch.exp(-found).mean().log().item() == pytest.approx(expected, rel=0.05)


def test_a_constant_loss_is_its_own_free_energy():
    point = torch.zeros(2, 3, requires_grad=True)
    found = free_energy(lambda rows: rows.sum(dim=1) * 0 + 1.5, point, KEYS, 6, 1.0)
    torch.testing.assert_close(found.detach(), torch.full((2,), 1.5))
    found.sum().backward()
    assert point.grad is not None


def test_the_divergence_from_the_prior_is_that_computed_by_hand():
    mean = torch.tensor([0.0, 3.0])
    deviation = torch.tensor([2.0, 0.5])
    expected = 0.0 + (math.log(2.0 / 0.5) + (0.25 + 9.0) / 8 - 0.5)
    found = divergence_from_prior(mean, deviation, prior_deviation=2.0)
    torch.testing.assert_close(found, torch.tensor(expected))


def test_a_narrower_posterior_has_less_entropy_and_costs_more():
    mean = torch.zeros(5)
    costs = [divergence_from_prior(mean, torch.full((5,), s), 1.0) for s in (0.1, 0.5, 1.0)]
    assert costs[0] > costs[1] > costs[2] == 0


def test_a_spread_gives_the_deviation_that_it_was_made_from():
    deviation = torch.tensor([1e-3, 0.1, 2.0])
    torch.testing.assert_close(deviation_of(spread_of(deviation)), deviation)
