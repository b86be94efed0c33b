"""Codes by hand, and their draws."""

import math

import torch

from autoloss_gym import random
from autoloss_gym.networks.variational import Code, as_code, divergence, reparametrised


def test_the_divergence_is_the_one_computed_by_hand():
    mean = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]]])
    log_variance = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [math.log(4.0), 0.0]]])
    # 0; ½ · 2²; ½ (4 − ln 4 − 1) + ½ · 1²
    expected = torch.tensor([[0.0, 2.0, 0.5 * (3 - math.log(4)) + 0.5]])
    torch.testing.assert_close(divergence(Code(mean, log_variance)), expected)


def test_the_divergence_is_that_of_torch_distributions():
    generator = torch.Generator().manual_seed(0)
    code = as_code(torch.randn(3, 4, 10, generator=generator))
    there = torch.distributions.Normal(code.mean, (0.5 * code.log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros(()), torch.ones(()))
    expected = torch.distributions.kl_divergence(there, prior).sum(dim=2)
    torch.testing.assert_close(divergence(code), expected)


def test_the_first_half_of_the_outputs_is_the_mean():
    code = as_code(torch.arange(6.0).view(1, 1, 6))
    assert code.mean.tolist() == [[[0.0, 1.0, 2.0]]]
    assert code.log_variance.tolist() == [[[3.0, 4.0, 5.0]]]


def test_draws_have_the_mean_and_the_deviation_of_the_code():
    mean = torch.full((1, 20_000, 1), 3.0)
    code = Code(mean, torch.full_like(mean, math.log(0.25)))
    drawn = reparametrised(random.normal(torch.tensor([5]), (20_000, 1)), code)
    assert abs(drawn.mean() - 3) < 0.02
    assert abs(drawn.std() - 0.5) < 0.01


def test_draws_have_gradients_by_mean_and_deviation():
    keys = random.fold_in(torch.arange(3), "test")
    outputs = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    code = as_code(outputs)
    mean, log_variance = (each.requires_grad_() for each in code)
    noise = random.normal(keys, (4, 3))
    drawn = reparametrised(noise, Code(mean, log_variance))
    deviation = torch.exp(log_variance / 2)
    torch.testing.assert_close(drawn, mean + deviation * noise)
    by_mean, by_log_variance = torch.autograd.grad(drawn.sum(), (mean, log_variance))
    assert (by_mean == 1).all()
    torch.testing.assert_close(by_log_variance, deviation * noise / 2)
