"""The batched perceptron against single models of torch.nn."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from autoloss_gym import random
from autoloss_gym.networks.perceptron import initial_weight, perceptron


def layers_of(keys, sizes):
    layers = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        own = random.fold_in(keys, index)
        layers.append(
            (initial_weight(own, inputs, outputs), random.normal(own, (outputs,), deviation=0.1))
        )
    return layers


@pytest.mark.parametrize("sizes", [(5, 2), (5, 16, 2), (32, 33, 7, 3)], ids=str)
def test_every_run_is_a_model_of_torch_with_its_own_weights(sizes):
    keys = random.fold_in(torch.arange(3), "perceptron")
    inputs, layers = random.normal(keys, (10, sizes[0])), layers_of(keys, sizes)
    found = perceptron(inputs, layers)
    for run in range(3):
        modules = []
        for weight, bias in layers:
            linear = nn.Linear(*weight.shape[1:])
            linear.weight.data.copy_(weight[run].T)
            linear.bias.data.copy_(bias[run])
            modules += [linear, nn.ReLU()]
        torch.testing.assert_close(found[run], nn.Sequential(*modules[:-1])(inputs[run]))


def test_the_last_layer_is_linear():
    weight, bias = torch.tensor([[[2.0]]]), torch.tensor([[-1.0]])
    inputs = torch.tensor([[[-3.0], [2.0]]])
    assert perceptron(inputs, [(weight, bias)]).flatten().tolist() == [-7, 3]
    twice = perceptron(inputs, [(weight, bias), (weight, bias)])
    assert twice.flatten().tolist() == [-1, 5]


def test_a_run_has_the_same_bits_alone_and_in_batches():
    keys, sizes = random.fold_in(torch.arange(18), "perceptron"), (13, 31, 5)
    inputs, layers = random.normal(keys, (9, sizes[0])), layers_of(keys, sizes)
    whole = perceptron(inputs, layers)
    for rows in ([0], [4, 17], list(range(3, 12))):
        part = [(weight[rows], bias[rows]) for weight, bias in layers]
        assert torch.equal(perceptron(inputs[rows], part), whole[rows])


def test_initial_weights_keep_the_variance_of_relu_units_unless_a_deviation_is_given():
    keys = random.fold_in(torch.arange(2), "weights")
    weights = initial_weight(keys, 50, 400)
    assert weights.shape == (2, 50, 400)
    assert float(weights.std()) == pytest.approx((2 / 50) ** 0.5, rel=0.02)
    assert float(initial_weight(keys, 50, 400, deviation=0.1).std()) == pytest.approx(0.1, rel=0.02)
