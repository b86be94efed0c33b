"""The perceptron with rows first, and its gradient, against automatic differentiation."""

from itertools import pairwise

import pytest
import torch

from autoloss_gym import random
from autoloss_gym.networks.perceptron import perceptron
from autoloss_gym.networks.perceptron_by_rows import perceptron_by_rows


def network(count, sizes, dtype):
    keys = random.fold_in(torch.arange(count), "by rows")
    layers = []
    for index, (before, after) in enumerate(pairwise(sizes)):
        own = random.fold_in(keys, index)
        layers.append((random.normal(own, (before, after)), random.normal(own, (after,), 0.1)))
    return [(weight.to(dtype), bias.to(dtype)) for weight, bias in layers]


def rows_of(count, shape, dtype):
    return random.normal(random.fold_in(torch.arange(count), "rows"), shape).to(dtype)


@pytest.mark.parametrize(("sizes", "rows"), [((5, 2), 7), ((16, 33, 5, 16), 1), ((3, 9, 4), 12)])
def test_outputs_and_gradients_are_those_of_automatic_differentiation(sizes, rows):
    layers, inputs = network(2, sizes, torch.float64), rows_of(2, (rows, sizes[0]), torch.float64)
    slopes = rows_of(2, (rows, sizes[-1]), torch.float64)
    leaves = [each.requires_grad_() for layer in layers for each in layer]
    expected = perceptron(inputs, layers)
    gradients = torch.autograd.grad((expected * slopes).sum(), leaves)
    with torch.no_grad():
        outputs, pullback = perceptron_by_rows(inputs, layers)
        found = [each for layer in pullback(slopes) for each in layer]
    torch.testing.assert_close(outputs, expected.detach(), rtol=1e-12, atol=1e-12)
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_run_has_the_same_bits_alone_and_in_batches():
    sizes, count = (13, 31, 5), 18
    layers = network(count, sizes, torch.float32)
    inputs, slopes = rows_of(count, (9, 13), torch.float32), rows_of(count, (9, 5), torch.float32)
    whole, pullback = perceptron_by_rows(inputs, layers)
    gradients = pullback(slopes)
    for runs in ([0], [4, 17], list(range(3, 12))):
        part = [(weight[runs], bias[runs]) for weight, bias in layers]
        outputs, pull = perceptron_by_rows(inputs[runs], part)
        assert torch.equal(outputs, whole[runs])
        for (weight, bias), (of_all, bias_of_all) in zip(
            pull(slopes[runs]), gradients, strict=True
        ):
            assert torch.equal(weight, of_all[runs])
            assert torch.equal(bias, bias_of_all[runs])
