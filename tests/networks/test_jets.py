"""Derivatives of perceptrons by their inputs, against automatic differentiation."""

import math
from itertools import pairwise

import pytest
import torch

from autoloss_gym.networks.activations import ACTIVATIONS, activated, third_derivative
from autoloss_gym.networks.jets import Inputs, jet, jet_and_pullback

each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)


def network(runs, sizes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    layers = []
    for before, after in pairwise(sizes):
        weight = torch.randn(runs, before, after, generator=generator, dtype=dtype)
        bias = torch.randn(runs, after, generator=generator, dtype=dtype)
        layers.append((weight / math.sqrt(before), bias))
    return layers


def points(runs, count, dimensions, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(runs, count, dimensions, generator=generator, dtype=dtype)


def plain(layers, places, inputs, activation):
    """The network of each run as one writes it, (num_envs, count)."""
    function = {"tanh": torch.tanh, "sin": torch.sin, "softplus": torch.nn.functional.softplus}
    values = torch.stack(
        [
            (places[:, :, index] - inputs.centres[index]) * inputs.scales[index]
            for index in range(places.shape[2])
        ],
        dim=2,
    )
    for index, (weight, bias) in enumerate(layers):
        values = values @ weight + bias[:, None]
        if index < len(layers) - 1:
            values = function[activation](values)
    return values[:, :, 0]


def differentiated(layers, places, inputs, activation):
    """The jet by nested automatic differentiation."""
    places = places.clone().requires_grad_()
    value = plain(layers, places, inputs, activation)
    (first,) = torch.autograd.grad(value.sum(), places, create_graph=True)
    curvature = torch.zeros_like(value)
    for index in inputs.curved:
        (second,) = torch.autograd.grad(first[:, :, index].sum(), places, create_graph=True)
        curvature = curvature + second[:, :, index]
    return torch.stack([value, *first.unbind(2), curvature], dim=1)


CASES = {
    "one dimension": ((1, 5, 1), Inputs((0.3,), (2.0,), (0,))),
    "two, one of them curved": ((2, 16, 7, 1), Inputs((0.5, 0.0), (2.0, 0.7), (1,))),
    "two, both curved": ((2, 6, 16, 3, 1), Inputs((0.0, -0.2), (1.0, 1.5), (0, 1))),
}
each_case = pytest.mark.parametrize(("sizes", "inputs"), CASES.values(), ids=CASES)


@each_activation
@each_case
def test_a_jet_is_what_nested_differentiation_gives(sizes, inputs, activation):
    layers, places = network(3, sizes), points(3, 5, sizes[0])
    expected = differentiated(layers, places, inputs, activation)
    torch.testing.assert_close(jet(layers, places, inputs, activation), expected)
    value_only = Inputs(inputs.centres, inputs.scales)
    value = jet(layers, places, value_only, activation)
    torch.testing.assert_close(value, expected[:, :1])


@each_activation
@each_case
def test_a_pullback_is_the_gradient_of_nested_differentiation(sizes, inputs, activation):
    layers, places = network(2, sizes), points(2, 5, sizes[0])
    leaves = [leaf.clone().requires_grad_() for layer in layers for leaf in layer]
    pairs = list(zip(leaves[::2], leaves[1::2], strict=True))
    for given in (inputs, Inputs(inputs.centres, inputs.scales)):
        expected = differentiated(pairs, places, inputs, activation)[:, : given.streams]
        slopes = torch.randn(
            expected.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64
        )
        gradients = torch.autograd.grad((expected * slopes).sum(), leaves)
        out, pullback = jet_and_pullback(layers, places, given, activation)
        torch.testing.assert_close(out, expected.detach())
        found = [leaf for layer in pullback(slopes) for leaf in layer]
        for one, other in zip(found, gradients, strict=True):
            torch.testing.assert_close(one, other)


@each_activation
def test_activations_have_their_derivatives(activation):
    values = torch.linspace(-4, 4, 33, dtype=torch.float64).requires_grad_()
    known = activated(activation, values)
    chain = [*known, third_derivative(activation, known)]
    for before, after in pairwise(chain):
        (slope,) = torch.autograd.grad(before.sum(), values, retain_graph=True)
        torch.testing.assert_close(after, slope)


def test_softplus_of_great_numbers_is_the_number_or_nothing():
    values = torch.tensor([-200.0, 200.0])
    soft, slope, bend = activated("softplus", values)
    assert soft.tolist() == [0.0, 200.0]
    assert slope.tolist() == [0.0, 1.0]
    assert bend.tolist() == [0.0, 0.0]


@each_activation
@each_case
def test_a_run_has_the_same_bits_alone_and_in_a_batch(sizes, inputs, activation):
    layers = network(9, sizes, torch.float32)
    places = points(9, 7, sizes[0], torch.float32)
    whole, pullback = jet_and_pullback(layers, places, inputs, activation)
    gradients = pullback(whole)
    for row in range(9):
        own = [tuple(leaf[row : row + 1].clone() for leaf in layer) for layer in layers]
        single, pull = jet_and_pullback(own, places[row : row + 1].clone(), inputs, activation)
        assert torch.equal(single, whole[row : row + 1])
        for one, many in zip(pull(single), gradients, strict=True):
            for each, others in zip(one, many, strict=True):
                assert torch.equal(each, others[row : row + 1])
