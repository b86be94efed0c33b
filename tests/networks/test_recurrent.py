"""Recurrent networks and attention of many runs against single models of torch.nn."""

import pytest
import torch
from torch import nn

from autoloss_gym import random
from autoloss_gym.networks import recurrent
from autoloss_gym.networks.attention import attend, initial_linear, linear
from autoloss_gym.networks.recurrent import (
    embed,
    initial_embedding,
    initial_lstm,
    last_place,
    lstm,
    lstm_cell,
    placed,
    reversal,
)

KEYS = random.fold_in(torch.arange(3), "recurrent")


def inputs_of(rows: int, time: int, size: int):
    return random.normal(random.fold_in(KEYS, "inputs"), (rows, time, size))


def plain_lstm(layer, run: int, inputs: int, hidden: int) -> nn.LSTM:
    plain = nn.LSTM(inputs, hidden, batch_first=True)
    with torch.no_grad():
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            plain.get_parameter(f"{part}_l0").copy_(layer[f"a.{part}"][run])
    return plain


@pytest.mark.parametrize("route", ["one by one", "cells"])
def test_every_run_has_an_lstm_of_torch_with_its_own_weights(route, monkeypatch):
    if route == "cells":
        monkeypatch.setattr(recurrent, "is_eager_on_cpu", lambda tensor: False)
    layer, inputs = initial_lstm(KEYS, "a", 5, 7), inputs_of(4, 6, 5)
    start = tuple(random.normal(random.fold_in(KEYS, name), (4, 7)) for name in "hc")
    outputs, (hidden, cell) = lstm(inputs, layer, "a", start)
    for run in range(3):
        plain = plain_lstm(layer, run, 5, 7)
        theirs, last = plain(inputs[run], tuple(each[run][None] for each in start))
        torch.testing.assert_close(outputs[run], theirs.detach())
        torch.testing.assert_close(hidden[run], last[0][0].detach())
        torch.testing.assert_close(cell[run], last[1][0].detach())


def test_both_routes_have_the_same_gradients(monkeypatch):
    found = []
    for eager in (True, False):
        monkeypatch.setattr(recurrent, "is_eager_on_cpu", lambda tensor, eager=eager: eager)
        table = initial_embedding(KEYS, "table", 9, 5)["table"].requires_grad_()
        layer = {
            name: each.requires_grad_() for name, each in initial_lstm(KEYS, "a", 5, 7).items()
        }
        words = random.integers(KEYS, (4, 6), 9)
        outputs, _ = lstm(embed(table, words), layer, "a")
        leaves = [table, *layer.values()]
        found.append(torch.autograd.grad((outputs * outputs).sum(), leaves))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_cells_in_a_row_are_the_lstm():
    layer, inputs = initial_lstm(KEYS, "a", 5, 7), inputs_of(4, 6, 5)
    outputs, _ = lstm(inputs, layer, "a")
    zeros = torch.zeros(3, 4, 7)
    memory = (zeros, zeros)
    for time in range(6):
        memory = lstm_cell(inputs[:, :, time], layer, "a", memory)
        torch.testing.assert_close(memory[0], outputs[:, :, time])


def test_reading_backwards_begins_at_the_last_word():
    lengths = torch.tensor([[3, 1]])
    values = torch.arange(8.0).view(1, 2, 4, 1)
    turned = placed(reversal(lengths, 4), values)
    assert turned[0, :, :, 0].tolist() == [[2, 1, 0, 3], [4, 5, 6, 7]]
    assert torch.equal(placed(reversal(lengths, 4), turned), values)
    assert placed(last_place(lengths, 4), values)[0, :, 0, 0].tolist() == [2, 4]


def test_attention_averages_what_is_seen():
    queries = torch.zeros(1, 1, 2, 3)
    values = torch.tensor([[[[1.0], [3.0], [100.0]]]])
    seen = torch.tensor([[[True, True, False]]])
    means = attend(queries, torch.zeros(1, 1, 3, 3), values, seen)
    assert means[0, 0, :, 0].tolist() == [2.0, 2.0]


def test_attention_is_softmax_of_products():
    queries, keys, values = (inputs_of(4, time, 5) for time in (2, 3, 3))
    seen = torch.ones(3, 4, 3, dtype=torch.bool)
    found = attend(queries, keys, values, seen)
    theirs = nn.functional.scaled_dot_product_attention(queries, keys, values, scale=1.0)
    torch.testing.assert_close(found, theirs)


def test_a_linear_layer_is_that_of_torch():
    layer, values = initial_linear(KEYS, "a", 5, 7), inputs_of(4, 6, 5)
    for run in range(3):
        theirs = nn.functional.linear(values[run], layer["a.weight"][run].T, layer["a.bias"][run])
        torch.testing.assert_close(linear(values, layer, "a")[run], theirs)
