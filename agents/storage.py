"""Weights on disk, as safetensors: whole or absent, and reading them runs no code."""

import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

WEIGHTS = "policy.safetensors"


def save_weights(policy: nn.Module, folder: Path) -> None:
    """Store the weights, atomically."""
    temporary = folder / f".{WEIGHTS}.tmp"
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in policy.state_dict().items()}, temporary)
    os.replace(temporary, folder / WEIGHTS)


def load_weights(policy: nn.Module, folder: Path) -> None:
    """Read the weights into `policy`; ValueError if there are none or they do not fit."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise ValueError(f"{str(folder)!r} holds no {WEIGHTS}: its training was stopped before the first save")
    try:
        policy.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{str(path)!r} does not fit this environment: {' '.join(str(error).split())}") from None
