"""Weights on disk, as safetensors: whole or absent, and reading them runs no code."""

import hashlib
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

WEIGHTS = "policy.safetensors"


def save_weights(policy: nn.Module, folder: Path, steps: int) -> None:
    """Store the weights and the environment steps of training behind them, atomically."""
    temporary = folder / f".{WEIGHTS}.tmp"
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in policy.state_dict().items()}
    save_file(tensors, temporary, metadata={"steps": str(steps)})
    os.replace(temporary, folder / WEIGHTS)


def load_weights(policy: nn.Module, folder: Path) -> int:
    """Read the weights into `policy` and return the steps behind them; ValueError if there are none or they do not fit."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise ValueError(f"{str(folder)!r} holds no {WEIGHTS}: its training was stopped before the first save")
    try:
        policy.load_state_dict(load_file(path))
        with safe_open(path, framework="pt") as file:
            return int((file.metadata() or {}).get("steps", 0))
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} does not fit this environment: {' '.join(str(error).split())}") from None


def weights_digest(folder: Path) -> str:
    """What tells these weights from others."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:16]
