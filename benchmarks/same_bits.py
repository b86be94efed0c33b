"""Whether a run has the same bits alone, in a batch of 7 and in one of 64.

    python -m benchmarks.same_bits                  # every id, an episode and its autoreset
    python -m benchmarks.same_bits AutoLoss/PINN-v0

On the CPU, eager, one thread, at the sizes of each id; episodes are shortened to a few validations.
What is compared is all that an environment says: observations, rewards, ends and infos.
"""

import argparse
import sys
from typing import Any

import gymnasium
import numpy as np
import torch

from agents.command_line import OneLineParser, main
from autoloss_gym.registration import TASKS
from studies.markdown import table

SIZES = (7, 64)
_ALONE = 5  # the run that is also played alone
# Episodes of at most so many updates, validated every few.
_UPDATES = 12
_EVERY = 4


def played(id: str, num_envs: int, first: int) -> list[dict[str, np.ndarray]]:
    """All that is said of runs `first` … `first + num_envs − 1` in an episode and after it."""
    arguments: dict[str, Any] = {"max_steps": _UPDATES, "validate_every": _EVERY}
    envs: Any = gymnasium.make_vec(id, num_envs=num_envs, **arguments)
    generator = np.random.default_rng(0)
    observations, infos = envs.reset(seed=first)
    records = [_record({"observations": observations}, infos)]
    for _ in range(_UPDATES + 2):
        everyone = generator.integers(len(envs.task.pairs), size=max(SIZES))
        actions = everyone[first : first + num_envs]
        if not isinstance(envs.single_action_space, gymnasium.spaces.Discrete):
            actions = np.sin(actions + np.arange(first, first + num_envs))[:, None]
        observations, rewards, ended, _, infos = envs.step(actions.astype(envs.action_space.dtype))
        said = {"observations": observations, "rewards": rewards, "ended": ended}
        records.append(_record(said, infos))
    envs.close()
    return records


def _record(said: dict[str, Any], infos: dict[str, Any]) -> dict[str, np.ndarray]:
    """Arrays by name; the figures of episodes that have ended stand beside the others."""
    final = {f"final {name}": each for name, each in infos.get("final_info", {}).items()}
    return {
        name: np.asarray(each)
        for name, each in {**said, **infos, **final}.items()
        if name not in ("final_info", "_final_info") and not name.startswith("final _")
    }


def different(
    records: list[dict[str, np.ndarray]], others: list[dict[str, np.ndarray]], rows: slice
) -> set[str]:
    """Names of what is not the same in these rows of the others."""
    found = set()
    for one, other in zip(records, others, strict=True):
        for name, values in one.items():
            if not np.array_equal(values, other[name][rows], equal_nan=values.dtype.kind == "f"):
                found.add(name)
    return found


def run() -> None:
    parser = OneLineParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ids", nargs="*", default=list(TASKS), help="default: all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for id in arguments.ids:
        many = played(id, max(SIZES), 0)
        few = different(played(id, min(SIZES), 0), many, slice(0, min(SIZES)))
        alone = different(played(id, 1, _ALONE), many, slice(_ALONE, _ALONE + 1))
        said = [", ".join(sorted(each)) or "the same bits" for each in (alone, few)]
        rows.append([id, *said])
        print(*rows[-1], sep=": ", flush=True)
    header = ["id", "alone and in 64", "in 7 and in 64"]
    print("\n" + table(header, rows, num_left=len(header)))


if __name__ == "__main__":
    sys.exit(main(run))
