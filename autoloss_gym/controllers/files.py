"""Files of controllers: a text that describes one, and its weights; reading them runs no code."""

import dataclasses
import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.core.task import Metric
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.tools.arguments import build
from autoloss_gym.tools.forms import Array, Text
from autoloss_gym.tools.stored import read_arrays, read_value, write_arrays

if TYPE_CHECKING:
    from autoloss_gym.controllers.controller import Controller

# Written as they are; the others need a word of their own.
_PLAIN = (
    "label",
    "seed",
    "control",
    "control_arguments",
    "scaling",
    "drop",
    "add",
    "repeat",
    "form",
    "deterministic",
    "training_runs",
)


def write(path: Path, controller: "Controller") -> None:
    """Write a controller."""
    about, weights = _parts(controller)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(path, {"about": json.dumps(about), "weights": weights})


def digest(controller: "Controller") -> str:
    """Digest that tells a controller from others."""
    about, weights = _parts(controller)
    found = hashlib.sha256(json.dumps(about).encode())
    for value in weights.values():
        found.update(value.tobytes())
    return found.hexdigest()[:16]


def _parts(controller: "Controller") -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Plain values that describe a controller, and its arrays."""
    about = {name: getattr(controller, name) for name in _PLAIN}
    about["description"] = dataclasses.asdict(controller.description)
    about["network"] = _arguments(controller.network)
    deviations = controller.deviations
    about["num_deviations"] = 0 if deviations is None else len(deviations)
    weights = {name: value.numpy() for name, value in controller.network.state_dict().items()}
    if deviations is not None:
        weights["deviations"] = deviations.numpy()
    return about, weights


def read(path: Path) -> dict[str, Any]:
    """The arguments of a controller.

    Raises:
        ValueError: one line that says what is wrong with the file.
    """
    try:
        about = json.loads(read_value(path, "about", Text()))
        arguments = {name: about[name] for name in _PLAIN}
        arguments["description"] = _description(about["description"])
        network = _network(about["network"], path.stat().st_size)
        form = {name: Array.like(value) for name, value in network.state_dict().items()}
        if about["num_deviations"]:
            form["deviations"] = Array("float32", (about["num_deviations"],), least=0)
        stored = read_arrays(path, {"about": Text(), "weights": form})["weights"]
    except FileNotFoundError:
        raise ValueError(f"there is no file {str(path)!r}: expected that of a controller") from None
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{str(path)!r} describes no controller ({reason})") from None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} is no file of a controller ({error}): expected what `autoloss export` "
            "wrote, such as the controller.safetensors of a run folder"
        ) from None
    weights = {name: torch.from_numpy(value.copy()) for name, value in stored.items()}
    arguments["deviations"] = weights.pop("deviations", None)
    network.load_state_dict(weights)
    return arguments | {"network": network.eval()}


def _description(values: dict[str, Any]) -> RunDescription:
    metrics = tuple(Metric(**metric) for metric in values["validation_metrics"])
    return build(RunDescription, {**values, "validation_metrics": metrics})


def _arguments(network: Perceptron | ShiftNetwork) -> dict[str, Any]:
    """All that a network is made of but its weights."""
    if isinstance(network, ShiftNetwork):
        decisions, features, hidden = network.hidden_weights.shape
        return {
            "num_decisions": decisions,
            "num_features": features,
            "num_actions": network.action_weights.shape[2],
            "hidden_size": hidden,
            "clip": network.clip,
            "blind": network.blind,
        }
    return {
        "num_inputs": network.sizes[0],
        "num_outputs": network.sizes[-1],
        "hidden_sizes": network.sizes[1:-1],
        "temperature": network.temperature,
        "activation": network.activation,
        "squash": network.squash,
    }


def _network(arguments: dict[str, Any], num_bytes: int) -> Perceptron | ShiftNetwork:
    """A network of these sizes, not larger than its file."""
    if "num_decisions" in arguments:
        names = ("num_decisions", "num_features", "num_actions", "hidden_size")
        decisions, features, actions, hidden = (arguments[name] for name in names)
        _check_size(decisions * hidden * (features + actions), num_bytes)
        return ShiftNetwork(**arguments)
    sizes = (arguments["num_inputs"], *arguments["hidden_sizes"], arguments["num_outputs"])
    _check_size(sum(width * height for width, height in pairwise(sizes)), num_bytes)
    return Perceptron(**arguments)


def _check_size(numbers: int, num_bytes: int) -> None:
    if not 0 < numbers * 4 <= num_bytes:
        raise ValueError(f"its {num_bytes} bytes cannot hold a network of {numbers} weights")
