"""Weights, checkpoints and logs of a training on disk.

Files are whole or absent, and reading them runs no code.
"""

import contextlib
import hashlib
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from stable_baselines3.common.logger import Logger, make_output_format
from torch import nn

from autoloss_gym.tools.files import replacing

from ..run_folders import FORMAT

_MT_WORDS = 624  # of the Mersenne Twister's state
WEIGHTS = "policy.safetensors"
CHECKPOINT = "checkpoint.pt"


def save_weights(policy: nn.Module, folder: Path, steps: int) -> None:
    """Store the weights and the environment steps of training behind them."""
    tensors = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in policy.state_dict().items()
    }
    with replacing(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"steps": str(steps)})


def complete_weights(policy: nn.Module, folder: Path, steps: int) -> None:
    """Store the weights of a finished training where a kill has left out the last ones."""
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            stored = (file.metadata() or {}).get("steps")
    except (OSError, SafetensorError):
        stored = None
    if stored != str(steps):
        save_weights(policy, folder, steps)


def load_weights(policy: nn.Module, folder: Path) -> int:
    """Read the weights into `policy` and return the environment steps behind them.

    Raises:
        ValueError: there are none, or they do not fit.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise ValueError(
            f"{str(folder)!r} holds no {WEIGHTS}: its training was stopped before the first save"
        )
    with _reading_weights(path):
        tensors = load_file(path)
        with safe_open(path, framework="pt") as file:
            steps = int((file.metadata() or {}).get("steps", 0))
    _check_observations(policy, tensors, folder)
    with _reading_weights(path):
        policy.load_state_dict(tensors)
    return steps


@contextlib.contextmanager
def _reading_weights(path: Path) -> Iterator[None]:
    """Turns whatever is wrong with the weights into one line."""
    try:
        yield
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} does not fit this environment: {' '.join(str(error).split())}"
        ) from None


def _check_observations(policy: nn.Module, tensors: dict[str, torch.Tensor], folder: Path) -> None:
    """ValueError if the first layer was trained on observations of another size."""
    expected = policy.state_dict()
    first = next(name for name, value in expected.items() if value.ndim == 2)
    present = expected[first].shape[-1]
    trained = tensors[first].shape[-1] if first in tensors else present
    if trained != present:
        raise ValueError(
            f"{str(folder)!r} was trained on observations of {trained} numbers, "
            f"this environment has {present}: give the --env-kwargs of its training"
        )


def weights_digest(folder: Path) -> str:
    """Digest that tells these weights from others."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:16]


def save_checkpoint(folder: Path, content: dict[str, Any]) -> None:
    """Store tensors and plain values from which training goes on, with the global generators."""
    with replacing(folder / CHECKPOINT) as temporary:
        torch.save({"format": FORMAT, "generators": _generators(), **content}, temporary)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read what `save_checkpoint` stored; None where nothing has been.

    The generators are set by `restore_generators`, once all that draws from them has been made.

    Raises:
        ValueError: it cannot be read.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        # PyTorch warns about foreign pickles, which are refused anyway.
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
        version = content["format"]
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, KeyError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{str(path)!r} is not a checkpoint that can be read ({reason}); "
            "delete it to start over"
        ) from None
    if version > FORMAT:
        raise ValueError(
            f"{str(path)!r}: format {version} is newer than this version reads ({FORMAT})"
        )
    return content


@contextlib.contextmanager
def fitting(folder: Path, algo: str, content: dict[str, Any]) -> Iterator[None]:
    """Turns whatever does not fit, while a checkpoint of `algo` is restored, into one line."""
    try:
        if content["algo"] != algo:
            raise ValueError(f"it is of {content['algo']}, not of {algo}")
        yield
    except (ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        path = str(folder / CHECKPOINT)
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path!r} does not fit this training ({reason}); delete it to start over"
        ) from None


def restore_generators(states: dict[str, Any]) -> None:
    """Set the global generators of PyTorch and NumPy, from which learners draw.

    Raises:
        ValueError: the states are not those of such generators.
    """
    torch.set_rng_state(states["torch"])
    keys = states["numpy"].numpy().astype(np.uint32)
    position, has_gauss, gauss = states["numpy_position"]
    # NumPy does not check these, and reads beyond its memory at the next draw.
    if keys.shape != (_MT_WORDS,) or not 0 <= position <= _MT_WORDS:
        raise ValueError(f"{keys.shape} words at position {position} are no state of MT19937")
    np.random.set_state(("MT19937", keys, int(position), int(has_gauss), float(gauss)))


def _generators() -> dict[str, Any]:
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "numpy_position": [int(position), int(has_gauss), float(gauss)],
    }


def open_logger(folder: Path, steps: int) -> Logger:
    """TensorBoard and CSV in `folder`; a training that goes on after `steps` writes another CSV."""
    suffix = f"_from_{steps}" if steps else ""
    formats = [
        make_output_format("tensorboard", str(folder)),
        make_output_format("csv", str(folder), suffix),
    ]
    return Logger(str(folder), formats)
