"""Weights, checkpoints and logs of a training on disk.

Files are whole or absent, reading them runs no code, and what they hold is checked before it is
used.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from autoloss_gym.environment.instances import MAX_SEED
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools import forms
from autoloss_gym.tools.files import read_bytes
from autoloss_gym.tools.forms import Array, Maybe, OneOf, Real, Text, Whole
from autoloss_gym.tools.stored import read_arrays, read_value, write_arrays

from ..configuration import MOST_STEPS, TrainingConfiguration
from .watching import tell_watcher

WEIGHTS = "policy.safetensors"
CHECKPOINT = "checkpoint.safetensors"
COUNT = Whole(0, MOST_STEPS)
_MT_WORDS = 624  # of the Mersenne Twister's state
_MOST_WEIGHTS = 1 << 32  # bytes
_NEVER_NEGATIVE = {"step", "exp_avg_sq", "square_avg"}  # of an optimizer's state
# What may change between two parts of a training, or is checked elsewhere.
_MAY_CHANGE = ("n_timesteps", "checkpoint_every", "data")


def save_weights(policy: nn.Module, folder: Path, steps: int) -> None:
    """Store the weights and the environment steps of training behind them."""
    arrays = {name: _to_numpy(value) for name, value in policy.state_dict().items()}
    write_arrays(folder / WEIGHTS, arrays | {"steps": steps})
    tell_watcher(steps)


def steps_of_weights(folder: Path) -> int:
    """Environment steps behind the weights of a run folder; 0 where there are none."""
    try:
        return read_value(folder / WEIGHTS, "steps", COUNT)
    except (OSError, ValueError):
        return 0


def complete_weights(policy: nn.Module, folder: Path, steps: int) -> None:
    """Store the weights of a finished training where a kill has left out the last ones."""
    try:
        stored = load_weights(copy.deepcopy(policy), folder)
    except (OSError, ValueError):
        stored = None
    if stored != steps:
        save_weights(policy, folder, steps)


def load_weights(policy: nn.Module, folder: Path) -> int:
    """Read the weights into `policy` and return the environment steps behind them.

    Raises:
        ValueError: there are none, or they do not fit, or are not finite.
    """
    path = folder / WEIGHTS
    expected = {name: Array.like(value) for name, value in policy.state_dict().items()}
    of_any_size = {
        name: Array(array.dtype, (None,) * len(array.shape)) for name, array in expected.items()
    }
    try:
        found = read_arrays(path, of_any_size | {"steps": COUNT}, oldest=1)
    except FileNotFoundError:
        raise ValueError(
            f"{str(folder)!r} holds no {WEIGHTS}: its training was stopped before the first save"
        ) from None
    steps = found.pop("steps")
    _check_observations(expected, found, folder)
    try:
        arrays = forms.read(found, expected)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} does not fit this environment: {error}") from None
    policy.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return steps


def _check_observations(
    expected: Mapping[str, Array], found: Mapping[str, np.ndarray], folder: Path
) -> None:
    """ValueError if the first layer was trained on observations of another size."""
    first = next(name for name, array in expected.items() if len(array.shape) == 2)
    present = expected[first].shape[-1]
    trained = found[first].shape[-1]
    if trained != present:
        raise ValueError(
            f"{str(folder)!r} was trained on observations of {trained} numbers, "
            f"this environment has {present}: give the --env-kwargs of its training"
        )


def weights_digest(folder: Path) -> str:
    """Digest that tells these weights from others."""
    content = read_bytes(folder / WEIGHTS, _MOST_WEIGHTS)
    return hashlib.sha256(content).hexdigest()[:16]


def save_checkpoint(
    folder: Path, configuration: TrainingConfiguration, content: Mapping[str, Any]
) -> None:
    """Store a tree of tensors and plain values from which training goes on.

    The global generators and the configuration are stored with it.
    """
    whole = {"training": _identity(configuration), "generators": _generators(), **content}
    write_arrays(folder / CHECKPOINT, _mapped(whole, torch.Tensor, _to_numpy))


def load_checkpoint(
    folder: Path, configuration: TrainingConfiguration, form: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Read what `save_checkpoint` stored, its arrays as tensors; None where nothing has been.

    The generators are set by `restore_generators`, once all that draws from them has been made.

    Args:
        folder: of the run.
        configuration: of the training that is to go on.
        form: of the content.

    Raises:
        ValueError: it cannot be read, has not this form, or is of another training.
    """
    expected = {name: OneOf((value,)) for name, value in _identity(configuration).items()}
    whole = {"training": expected, "generators": form_of(_generators()), **form}
    whole["generators"]["numpy_position"] = [Whole(0, _MT_WORDS), Whole(0, 1), Real()]
    try:
        found = read_arrays(folder / CHECKPOINT, whole)
    except FileNotFoundError:
        _refuse_format_1(folder / "checkpoint.pt")
        return None
    except ValueError as error:
        raise ValueError(f"{error}; delete the file to start over") from None
    return _mapped(found, np.ndarray, torch.from_numpy)


def _refuse_format_1(path: Path) -> None:
    if path.exists():
        raise ValueError(
            f"{str(path)!r} is of format 1, from which this version cannot go on; delete the file "
            "to start over"
        )


def form_of(content: Any, **limits: Any) -> Any:
    """The form of a tree of tensors, arrays and plain values; `limits` hold for its arrays."""
    if isinstance(content, Mapping):
        return {name: form_of(value, **limits) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [form_of(value, **limits) for value in content]
    if isinstance(content, torch.Tensor | np.ndarray):
        return Array.like(content, **limits)
    if isinstance(content, bool):
        return OneOf((False, True))
    if isinstance(content, int):
        return COUNT
    return Real() if isinstance(content, float) else Text()


def optimizer_form(optimizer: torch.optim.Optimizer) -> dict[int, Maybe]:
    """The form of an optimizer's state; before its first step it has none."""
    stepped = copy.deepcopy(optimizer)
    for group in stepped.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    stepped.step()
    forms_of_state = {}
    for index, values in stepped.state_dict()["state"].items():
        form = form_of(values)
        for name in _NEVER_NEGATIVE & form.keys():
            if isinstance(form[name], Array):
                form[name] = Array.like(values[name], least=0)
        forms_of_state[index] = Maybe(form)
    return forms_of_state


def set_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[int, Any]) -> None:
    """Set an optimizer's state; its settings are those that it has."""
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": dict(state), "param_groups": groups})


def environment_form(envs: AutoLossVectorEnv) -> dict[str, Any]:
    """The form of an environment's `state_dict`; numbers of a run that diverged may be any."""
    state = envs.state_dict()
    return {
        **form_of(state, finite=False),
        "is_reset": OneOf((True,)),
        "elapsed": Array.like(state["elapsed"], least=0, most=envs.task.max_steps),
        "seeds": Array.like(state["seeds"], least=0, most=MAX_SEED),
        "episodes": Array.like(state["episodes"], least=0, most=MOST_STEPS),
    }


def restore_generators(states: Mapping[str, Any]) -> None:
    """Set the global generators of PyTorch and NumPy, from which learners draw.

    Raises:
        ValueError: PyTorch's state is not that of such a generator.
    """
    try:
        torch.set_rng_state(states["torch"])
    except RuntimeError as error:
        raise ValueError(f"{CHECKPOINT}: {error}; delete the file to start over") from None
    np.random.set_state(("MT19937", states["numpy"].numpy(), *states["numpy_position"]))


def _generators() -> dict[str, Any]:
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "numpy": np.asarray(keys, dtype=np.uint32),
        "numpy_position": [int(position), int(has_gauss), float(gauss)],
    }


def _identity(configuration: TrainingConfiguration) -> dict[str, str]:
    """What all parts of a training share, each as JSON."""
    fields = asdict(configuration)
    return {
        name: json.dumps(value, sort_keys=True)
        for name, value in fields.items()
        if name not in _MAY_CHANGE
    }


def _mapped(tree: Any, kind: type, function: Callable[[Any], Any]) -> Any:
    """A tree of dictionaries and lists with a function applied to its leaves of a type."""
    if isinstance(tree, Mapping):
        return {name: _mapped(part, kind, function) for name, part in tree.items()}
    if isinstance(tree, list | tuple):
        return [_mapped(part, kind, function) for part in tree]
    return function(tree) if isinstance(tree, kind) else tree


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
