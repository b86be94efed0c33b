"""Attention of decoders to the states of an encoder, of many runs with weights of their own.

Luong, Pham, Manning: "Effective approaches to attention-based neural machine translation", EMNLP
2015, §3.1 with the score "general".
"""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.networks.linear import affine


def initial_linear(
    keys: Int64[Tensor, " num_envs"], name: str, inputs: int, outputs: int, bias: bool = True
) -> dict[str, Tensor]:
    """A layer from the distribution of `torch.nn.Linear`, uniform within ±1/√inputs.

    Returns:
        "{name}.weight" (num_envs, inputs, outputs) and with `bias` "{name}.bias" (num_envs,
        outputs).
    """
    bound = 1 / math.sqrt(inputs)
    layer = {}
    for part, shape in (("weight", (inputs, outputs)), ("bias", (outputs,))):
        if part == "weight" or bias:
            stream = random.fold_in(keys, f"{name}.{part}")
            layer[f"{name}.{part}"] = random.uniform(stream, shape, -bound, bound)
    return layer


def linear(
    values: Float[Tensor, "num_envs rows *time inputs"], layers: Mapping[str, Tensor], name: str
) -> Float[Tensor, "num_envs rows *time outputs"]:
    """A layer of `initial_linear` over the last dimension."""
    weight = layers[f"{name}.weight"]
    bias = layers.get(f"{name}.bias")
    flat = values.reshape(len(values), -1, values.shape[-1])
    return affine(flat, weight, bias).reshape(*values.shape[:-1], -1)


def attend(
    queries: Float[Tensor, "num_envs rows time hidden"],
    keys: Float[Tensor, "num_envs rows places hidden"],
    values: Float[Tensor, "num_envs rows places size"],
    seen: Bool[Tensor, "num_envs rows places"],
) -> Float[Tensor, "num_envs rows time size"]:
    """Means of `values`, weighted by the softmax of the products of queries and keys.

    Args:
        queries: states of the decoder.
        keys: states of the encoder, in the space of the queries.
        values: what is averaged over the places.
        seen: places that count; at least one of each row.
    """
    shape = queries.shape
    num_places = keys.shape[2]
    products = torch.bmm(
        queries.reshape(-1, *shape[2:]), keys.reshape(-1, *keys.shape[2:]).transpose(1, 2)
    )
    scores = products.view(*shape[:3], num_places)
    scores = scores.masked_fill(~seen[:, :, None, :], -math.inf)
    weights = torch.softmax(scores, dim=3).view(-1, shape[2], num_places)
    means = torch.bmm(weights, values.reshape(-1, *values.shape[2:]))
    return means.view(*shape[:3], -1)
