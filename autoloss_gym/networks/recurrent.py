"""Long short-term memories (LSTM) and embeddings of many runs, each with weights of its own."""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from autoloss_gym import random
from autoloss_gym.networks.linear import affine
from autoloss_gym.tools.compiling import is_eager_on_cpu

# Hidden and cell state of a layer, each (num_envs, rows, hidden).
Memory = tuple[Tensor, Tensor]
_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def initial_lstm(
    keys: Int64[Tensor, " num_envs"], name: str, inputs: int, hidden: int
) -> dict[str, Tensor]:
    """Weights of one layer in the shapes and from the distribution of `torch.nn.LSTM`.

    Args:
        keys: one for each run.
        name: of the layer, which begins the names of its tensors.
        inputs, hidden: numbers of inputs and of units.

    Returns:
        "{name}.weight_ih" (num_envs, 4 hidden, inputs), "{name}.weight_hh" (num_envs, 4 hidden,
        hidden), "{name}.bias_ih" and "{name}.bias_hh" (num_envs, 4 hidden), with the gates in the
        order input, forget, cell, output; uniform within ±1/√hidden.
    """
    bound = 1 / math.sqrt(hidden)
    shapes = ((4 * hidden, inputs), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,))
    layer = {}
    for part, shape in zip(_NAMES, shapes, strict=True):
        stream = random.fold_in(keys, f"{name}.{part}")
        layer[f"{name}.{part}"] = random.uniform(stream, shape, -bound, bound)
    return layer


def initial_embedding(
    keys: Int64[Tensor, " num_envs"], name: str, words: int, size: int
) -> dict[str, Tensor]:
    """A table (num_envs, words, size) of normal vectors with deviation 1, as `torch.nn.Embedding`.

    Args:
        keys: one for each run.
        name: of the table.
        words, size: rows, and numbers of each.
    """
    return {name: random.normal(random.fold_in(keys, name), (words, size))}


def embed(
    table: Float[Tensor, "num_envs words size"], ids: Int64[Tensor, "num_envs rows time"]
) -> Float[Tensor, "num_envs rows time size"]:
    """The vectors of words."""
    if is_eager_on_cpu(table):
        # A gather of all runs at once would write its index for every number of a vector.
        pairs = zip(_apart(ids), _apart(table), strict=True)
        return _together([functional.embedding(*pair) for pair in pairs])
    size = table.shape[2]
    index = ids.flatten(1)[:, :, None].expand(-1, -1, size)
    return table.gather(1, index).view(*ids.shape, size)


def lstm(
    inputs: Float[Tensor, "num_envs rows time inputs"],
    layers: Mapping[str, Tensor],
    name: str,
    memory: Memory | None = None,
) -> tuple[Float[Tensor, "num_envs rows time hidden"], Memory]:
    """One layer over sequences.

    On the CPU PyTorch's own LSTM serves one run after another, which is faster than cells that
    serve all runs; elsewhere launching it once a run would take most of the time.

    Args:
        inputs: sequences of each run.
        layers: tensors of `initial_lstm`, with those of other layers.
        name: of the layer.
        memory: hidden and cell state before the first input; zeros by default.

    Returns:
        Outputs of every moment, and the state after the last.
    """
    weights = [layers[f"{name}.{part}"] for part in _NAMES]
    if memory is None:
        shape = (*inputs.shape[:2], weights[1].shape[2])
        zeros = torch.zeros(shape, dtype=inputs.dtype, device=inputs.device)
        memory = (zeros, zeros)
    if is_eager_on_cpu(inputs):
        return _one_by_one(inputs, weights, memory)
    return _cells(inputs, weights, memory)


def _one_by_one(inputs: Tensor, weights: list[Tensor], memory: Memory) -> tuple[Tensor, Memory]:
    """`torch.lstm` for one run after another."""
    outputs = []
    hidden = []
    cells = []
    by_run = [_apart(tensor) for tensor in (inputs, *weights)]
    # What was before the first input, and is after the last, is (1, rows, hidden) of each run.
    starts = [(each,) if len(each) == 1 else each.split(1) for each in memory]
    for values, *own, start, cell in zip(*by_run, *starts, strict=True):
        output, last, last_cell = torch.lstm(
            values,
            [start, cell],
            own,
            has_biases=True,
            num_layers=1,
            dropout=0.0,
            train=False,
            bidirectional=False,
            batch_first=True,
        )
        outputs.append(output)
        hidden.append(last)
        cells.append(last_cell)
    if len(inputs) == 1:
        return outputs[0][None], (hidden[0], cells[0])
    return torch.stack(outputs), (torch.cat(hidden), torch.cat(cells))


def _apart(tensor: Tensor) -> Sequence[Tensor]:
    """The tensors of each run; one alone is a view whose gradient is a view."""
    return [tensor.squeeze(0)] if len(tensor) == 1 else tensor.unbind()


def _together(tensors: Sequence[Tensor]) -> Tensor:
    """What `_apart` took apart."""
    return tensors[0][None] if len(tensors) == 1 else torch.stack(list(tensors))


def _cells(inputs: Tensor, weights: list[Tensor], memory: Memory) -> tuple[Tensor, Memory]:
    """Batched cells, one moment after another."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    num_envs, rows, time, size = inputs.shape
    # The inputs of all moments in one product.
    flat = affine(inputs.reshape(num_envs, -1, size), weight_ih.transpose(1, 2), bias_ih + bias_hh)
    moments = flat.view(num_envs, rows, time, -1).unbind(dim=2)
    hidden, cell = memory
    recurrent = weight_hh.transpose(1, 2)
    outputs = []
    for moment in moments:
        gates = moment + torch.bmm(hidden, recurrent)
        hidden, cell = _gated(gates, cell)
        outputs.append(hidden)
    return torch.stack(outputs, dim=2), (hidden, cell)


def lstm_cell(
    inputs: Float[Tensor, "num_envs rows inputs"],
    layers: Mapping[str, Tensor],
    name: str,
    memory: Memory,
) -> Memory:
    """One moment of `lstm`: the state after these inputs, whose hidden part is the output."""
    weight_ih, weight_hh, bias_ih, bias_hh = (layers[f"{name}.{part}"] for part in _NAMES)
    hidden, cell = memory
    gates = affine(inputs, weight_ih.transpose(1, 2), bias_ih)
    gates = gates + affine(hidden, weight_hh.transpose(1, 2), bias_hh)
    return _gated(gates, cell)


def _gated(gates: Tensor, cell: Tensor) -> Memory:
    """Hidden and cell state after a moment, of the gates' inputs (num_envs, rows, 4 hidden)."""
    entering, kept, candidate, shown = gates.chunk(4, dim=2)
    cell = torch.sigmoid(kept) * cell + torch.sigmoid(entering) * torch.tanh(candidate)
    return torch.sigmoid(shown) * torch.tanh(cell), cell


def within_lengths(ids: Int64[Tensor, "num_envs rows time"]) -> Bool[Tensor, "num_envs rows time"]:
    """Where words stand; everything else is padding, id 0, at the end."""
    return ids != 0


def reversal(
    lengths: Int64[Tensor, "num_envs rows"], time: int
) -> Float[Tensor, "num_envs rows {time} {time}"]:
    """Matrices whose product with a sequence turns it around; padding keeps its place.

    Products with ones and zeros are exact, and their gradients are products again: that of a gather
    takes ten times as long. A matrix is its own inverse.
    """
    places = torch.arange(time, dtype=torch.int64, device=lengths.device)
    backwards = lengths[:, :, None] - 1 - places
    order = torch.where(backwards >= 0, backwards, places)
    return (order[..., None] == places).to(torch.float32)


def last_place(
    lengths: Int64[Tensor, "num_envs rows"], time: int
) -> Float[Tensor, "num_envs rows 1 {time}"]:
    """Matrices whose product with a sequence is the vector of its last word."""
    places = torch.arange(time, dtype=torch.int64, device=lengths.device)
    return (lengths[:, :, None, None] - 1 == places).to(torch.float32)


def placed(
    matrices: Float[Tensor, "num_envs rows places time"],
    values: Float[Tensor, "num_envs rows time size"],
) -> Float[Tensor, "num_envs rows places size"]:
    """The product of each sequence with its matrix."""
    found = torch.bmm(matrices.flatten(0, 1), values.flatten(0, 1))
    return found.view(*matrices.shape[:3], -1)
