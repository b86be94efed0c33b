"""Runs as they are, as tensors and plain values that a file can hold."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from autoloss_gym.environment.batch import Batch
from autoloss_gym.environment.instances import Instances
from autoloss_gym.environment.phases import Phases
from autoloss_gym.tools import tree
from autoloss_gym.tools.names import shown


def take(batch: Batch, is_reset: bool) -> dict[str, Any]:
    """Copies of all that the runs go on from."""
    counters = _counters(batch.phases, batch.instances)
    return {
        "runs": [leaf.clone() for leaf in tree.leaves(batch.runs)],
        "is_reset": is_reset,
        **{name: values.clone() for name, values in counters.items()},
    }


def restore(state: Mapping[str, Any], batch: Batch) -> bool:
    """Set the runs to what `take` returned, and return its `is_reset`.

    Raises:
        TypeError: it is no mapping.
        ValueError: the state is of an environment that was made with other arguments, or no state.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"state={shown(state)}: expected what state_dict() returned")
    leaves = tree.leaves(batch.runs)
    counters = _counters(batch.phases, batch.instances)
    if not (
        _are_alike(state.get("runs"), leaves)
        and _are_alike([state.get(name) for name in counters], [*counters.values()])
        and isinstance(state.get("is_reset"), bool)
    ):
        raise ValueError(
            "the saved runs do not fit this environment: make it with the arguments of the one "
            "that was saved"
        )
    for leaf, saved in zip(leaves, state["runs"], strict=True):
        leaf.copy_(saved)
    on_host = {name: state[name].numpy().copy() for name in counters}
    batch.phases.elapsed = on_host["elapsed"]
    batch.phases.finished = on_host["finished"]
    batch.instances.set_counters(on_host["seeds"], on_host["episodes"])
    return state["is_reset"]


def _counters(phases: Phases, instances: Instances) -> dict[str, Tensor]:
    """What is counted on the host, (num_envs,) each, by name."""
    seeds, episodes = instances.counters()
    on_host = {
        "seeds": seeds,
        "episodes": episodes,
        "elapsed": phases.elapsed,
        "finished": phases.finished,
    }
    return {name: torch.from_numpy(values) for name, values in on_host.items()}


def _are_alike(saved: Any, expected: list[Tensor]) -> bool:
    """Whether they are as many tensors of the same shapes and types."""
    if not isinstance(saved, list | tuple) or len(saved) != len(expected):
        return False
    for each, wanted in zip(saved, expected, strict=True):
        if not isinstance(each, Tensor):
            return False
        if (each.shape, each.dtype) != (wanted.shape, wanted.dtype):
            return False
    return True
