"""Losses of perceptrons with gradients in closed form, against automatic differentiation."""

import math
from itertools import pairwise

import pytest
import torch

from autoloss_gym.losses.perceptron_fit import (
    cross_entropy_and_slope,
    perceptron_fit,
    squared_error_and_slope,
)
from autoloss_gym.networks.activations import ACTIVATIONS

FUNCTIONS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sin": torch.sin,
    "softplus": torch.nn.functional.softplus,
}


def network(runs, sizes, dtype=torch.float64):
    """A block for each layer."""
    generator = torch.Generator().manual_seed(0)
    blocks = {}
    for index, (before, after) in enumerate(pairwise(sizes)):
        weight = torch.randn(runs, before, after, generator=generator, dtype=dtype)
        bias = torch.randn(runs, after, generator=generator, dtype=dtype)
        blocks[f"layer_{index}"] = {
            f"weight_{index}": weight / math.sqrt(before),
            f"bias_{index}": bias,
        }
    return blocks


def part(runs, rows, sizes, weighted, classes=True, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    made = {"inputs": torch.randn(runs, rows, sizes[0], generator=generator, dtype=dtype)}
    if classes:
        made["targets"] = torch.randint(sizes[-1], (runs, rows), generator=generator)
    else:
        made["targets"] = torch.randn(runs, rows, sizes[-1], generator=generator, dtype=dtype)
    if weighted:
        made["weights"] = torch.rand(runs, rows, generator=generator, dtype=dtype).softmax(1)
    return made


def of_each_run(blocks, given, run, activation):
    """The outputs of one run as one writes them, (rows, outputs)."""
    values = given["inputs"][run]
    for index, layer in enumerate(blocks.values()):
        values = values @ layer[f"weight_{index}"][run] + layer[f"bias_{index}"][run]
        if index < len(blocks) - 1:
            values = FUNCTIONS[activation](values)
    return values


def plain(blocks, given, activation, classes):
    """The loss of every run."""
    values = []
    for run in range(len(given["inputs"])):
        outputs = of_each_run(blocks, given, run, activation)
        if classes:
            targets = given["targets"][run]
            by_row = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
        else:
            by_row = (outputs - given["targets"][run]).square().mean(1)
        weights = given["weights"][run] if "weights" in given else 1 / len(by_row)
        values.append((by_row * weights).sum())
    return torch.stack(values)


def form(classes, activation="relu"):
    return perceptron_fit(
        cross_entropy_and_slope if classes else squared_error_and_slope, activation
    )


@pytest.mark.parametrize("classes", [True, False], ids=["cross_entropy", "squared_error"])
@pytest.mark.parametrize(
    ("sizes", "rows", "weighted", "activation"),
    [
        ((5, 2), 7, False, "relu"),
        ((4, 16, 2), 40, True, "relu"),
        ((3, 9, 5, 10), 1, False, "relu"),
        ((32, 33, 16, 3), 8, False, "tanh"),
        ((2, 5, 4), 3, True, "sin"),
        ((7, 4, 6, 2, 3), 12, False, "softplus"),
    ],
    ids=str,
)
def test_values_and_gradients_are_those_of_automatic_differentiation(
    sizes, rows, weighted, activation, classes
):
    blocks, given = network(2, sizes), part(2, rows, sizes, weighted, classes)
    leaves = [leaf.requires_grad_() for block in blocks.values() for leaf in block.values()]
    expected = plain(blocks, given, activation, classes)
    gradients = torch.autograd.grad(expected.sum(), leaves)
    closed = form(classes, activation)
    with torch.no_grad():
        values, found = closed.value_and_gradient(blocks, given)
    torch.testing.assert_close(values, expected.detach(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(closed(blocks, given), expected, rtol=1e-12, atol=1e-14)
    flat = [leaf for block in found.values() for leaf in block.values()]
    for one, other in zip(flat, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", *ACTIVATIONS])
def test_the_gradient_may_be_differentiated_once_more(activation):
    blocks, given = network(1, (3, 4, 2)), part(1, 6, (3, 4, 2), False)
    leaves = [leaf.requires_grad_() for block in blocks.values() for leaf in block.values()]
    first = torch.autograd.grad(
        plain(blocks, given, activation, True).sum(), leaves, None, True, True
    )
    _, found = form(True, activation).value_and_gradient(blocks, given)
    written = [leaf for block in found.values() for leaf in block.values()]
    second, ours = (
        torch.autograd.grad(sum(each.sin().sum() for each in gradient), leaves)
        for gradient in (first, written)
    )
    for one, other in zip(ours, second, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [
        ((13, 9, 2), 63),
        ((32, 32, 2), 200),
        ((5, 33, 17, 10), 1),
        ((30, 3), 41),
        ((4, 16, 5, 3), 12),
    ],
    ids=str,
)
def test_a_run_has_the_same_bits_alone_and_in_batches(sizes, rows):
    blocks = network(64, sizes, torch.float32)
    given = part(64, rows, sizes, False, dtype=torch.float32)
    # Views of packed blocks, which begin anywhere.
    leaves = [leaf for block in blocks.values() for leaf in block.values()]
    packed = torch.cat([leaf.flatten(1) for leaf in leaves], dim=1)

    def fitted(runs):
        parts = packed[runs].split([leaf[0].numel() for leaf in leaves], dim=1)
        views = iter(
            part.view(-1, *leaf.shape[1:]) for part, leaf in zip(parts, leaves, strict=True)
        )
        own = {block: {name: next(views) for name in layer} for block, layer in blocks.items()}
        chosen = {name: values[runs] for name, values in given.items()}
        values, gradients = form(True).value_and_gradient(own, chosen)
        return [values, *(leaf for block in gradients.values() for leaf in block.values())]

    whole = fitted(list(range(64)))
    for runs in ([0], [5], [63], list(range(3, 10))):
        for one, many in zip(fitted(runs), whole, strict=True):
            assert torch.equal(one, many[runs])


def test_a_fit_runs_without_data_on_the_meta_device():
    sizes = (5, 7, 3)

    def meta(tree):
        return {name: each.to("meta") for name, each in tree.items()}

    blocks = {name: meta(block) for name, block in network(2, sizes, torch.float32).items()}
    given = meta(part(2, 4, sizes, True, dtype=torch.float32))
    values, gradients = form(True).value_and_gradient(blocks, given)
    assert values.shape == (2,)
    assert gradients["layer_1"]["weight_1"].shape == (2, 7, 3)
