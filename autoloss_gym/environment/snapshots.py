"""Runs as they are, as tensors and plain values that a file can hold."""

from collections.abc import Mapping
from typing import Any

import torch

from autoloss_gym.environment.instances import Instances
from autoloss_gym.environment.phases import Phases
from autoloss_gym.environment.runs import Runs
from autoloss_gym.tools import tree


def take(runs: Runs, phases: Phases, instances: Instances, is_reset: bool) -> dict[str, Any]:
    """Copies of all that the runs go on from."""
    seeds, episodes = instances.counters()
    on_host = {
        "seeds": seeds,
        "episodes": episodes,
        "elapsed": phases.elapsed,
        "finished": phases.finished,
    }
    return {
        "runs": [leaf.clone() for leaf in tree.leaves(runs)],
        "is_reset": is_reset,
        **{name: torch.from_numpy(values.copy()) for name, values in on_host.items()},
    }


def restore(state: Mapping[str, Any], runs: Runs, phases: Phases, instances: Instances) -> None:
    """Set the runs to what `take` returned.

    Raises:
        ValueError: the state is of an environment that was made with other arguments.
    """
    leaves = tree.leaves(runs)
    if [leaf.shape for leaf in leaves] != [saved.shape for saved in state["runs"]]:
        raise ValueError(
            "the saved runs do not fit this environment: make it with the arguments of the one "
            "that was saved"
        )
    for leaf, saved in zip(leaves, state["runs"], strict=True):
        leaf.copy_(saved)
    phases.elapsed = state["elapsed"].numpy().copy()
    phases.finished = state["finished"].numpy().copy()
    instances.set_counters(state["seeds"].numpy().copy(), state["episodes"].numpy().copy())
