"""Play an environment and keep all that it says, run by run."""

from collections.abc import Iterable

import numpy as np
import torch

from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tools import tree

Record = dict[str, np.ndarray]


def record(observations, infos: dict, **others) -> Record:
    """Copies of all outputs of one call by name.

    What is said of the runs that have ended begins with "final ", wherever the autoreset mode puts
    it; `_final_info` marks these runs.
    """
    values = {"observations": observations, **others}
    values |= {n: v for n, v in infos.items() if f"_{n}" not in infos and not n.startswith("_")}
    if "final_obs" in infos:
        values["final_obs"] = infos["final_obs"]
    if "final_info" in infos or "score" in infos:
        final = infos.get("final_info", infos)
        values |= {f"final {name}": value for name, value in final.items()}
        values["_final_info"] = final["_score"]
    return {name: np.array(value) for name, value in values.items()}


def play(
    envs: AutoLossVectorEnv, actions: Iterable, seed: int | list[int] = 0, parameters=False
) -> list[Record]:
    """The records of a reset and of one step for each row of `actions`.

    Where autoreset is disabled, ended runs are reset at once; "after" is the observation after
    that.
    """
    records = [record(*envs.reset(seed=seed))]
    for action in actions:
        observations, rewards, terminations, truncations, infos = envs.step(action)
        records.append(
            record(
                observations,
                infos,
                rewards=rewards,
                terminations=terminations,
                truncations=truncations,
            )
        )
        if envs.autoreset_mode.value == "Disabled":
            ended = np.asarray(terminations)
            after = envs.reset(options={"reset_mask": ended})[0] if ended.any() else observations
            records[-1]["after"] = np.array(after)
        if parameters:
            records[-1] |= {
                name: value.numpy().copy()
                for name, value in envs._batch.runs.state.parameters.items()
            }
    return records


def row(outputs: Record, i: int) -> Record:
    """What a record says of run i; final figures only where it ended."""
    ended = outputs.get("_final_info", np.zeros(i + 1, dtype=bool))[i]
    return {name: value[i] for name, value in outputs.items() if ended or "final" not in name}


def assert_same(got: Record, expected: Record, where: object = "") -> None:
    assert got.keys() == expected.keys(), where
    different = [name for name in got if not _are_same(got[name], expected[name])]
    assert not different, (where, {name: (got[name], expected[name]) for name in different})


def _are_same(values: np.ndarray, others: np.ndarray) -> bool:
    """Whether they are, with NaN where there is none to report."""
    return np.array_equal(values, others, equal_nan=np.asarray(values).dtype.kind == "f")


def assert_same_run(records: list[Record], i: int, others: list[Record], j: int) -> None:
    """Run i of one play got the same bits as run j of another, at every step."""
    assert len(records) == len(others)
    for step, (one, other) in enumerate(zip(records, others, strict=True)):
        assert_same(row(one, i), row(other, j), f"step {step}")


def leaves(nested) -> list[torch.Tensor]:
    """Copies of all tensors of a tree."""
    found: list[torch.Tensor] = []
    tree.map_tensors(lambda leaf: found.append(leaf.clone()) or leaf, nested)
    return found
