"""Which problem an episode is: a function of split, seed and episode, and of nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from autoloss_gym import random
from autoloss_gym.core.task import Keys, Split
from autoloss_gym.tools.arguments import one_of
from autoloss_gym.tools.arrays import on_host
from autoloss_gym.tools.bounds import PositiveInt
from autoloss_gym.tools.fields import converted
from autoloss_gym.tools.names import shown, unknown

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
MAX_SEED = 2**62


class Instances:
    """Deals out keys: run i with seed s + i meets, in its episode e, the problem hash(split, s + i,
    e).

    Args:
        split: its problems are disjoint from those of the other splits.
        num_instances: number of problems in all, among which an episode's is drawn; None for a new
            one every time.
        num_envs: number of runs.
        device: where the keys live.
    """

    def __init__(
        self, split: str, num_instances: int | None, num_envs: int, device: torch.device
    ) -> None:
        self.split: Split = one_of("split", split, SPLITS)
        self.num_instances = (
            None
            if num_instances is None
            else converted("num_instances", num_instances, PositiveInt)
        )
        self.device = device
        self._seeds = np.zeros(num_envs, dtype=np.int64)
        self._episodes = np.full(num_envs, -1, dtype=np.int64)

    def seed(self, rows: np.ndarray, seeds: np.ndarray) -> None:
        """Start the runs `rows` over, with these seeds; their next episode is number 0."""
        self._seeds[rows], self._episodes[rows] = seeds, -1

    def seed_some(self, rows: np.ndarray, seeds: Sequence[int | None]) -> None:
        """Start those of the runs `rows` over that have a seed; the others go on."""
        given = [(row, seed) for row, seed in zip(rows, seeds, strict=True) if seed is not None]
        self.seed(*np.array(given, dtype=np.int64).reshape(-1, 2).T)

    def counters(self) -> tuple[np.ndarray, np.ndarray]:
        """Seed and number of the current episode of every run, (num_envs,), int64."""
        return self._seeds, self._episodes

    def set_counters(self, seeds: np.ndarray, episodes: np.ndarray) -> None:
        """Go on from these."""
        self._seeds, self._episodes = seeds, episodes

    def next_episode(self, rows: np.ndarray, problems: np.ndarray | None = None) -> Keys:
        """Keys of the next episode of the runs `rows`, on these problems if some are given."""
        self._episodes[rows] += 1
        seeds = torch.from_numpy(self._seeds[rows]).to(self.device)
        episodes = torch.from_numpy(self._episodes[rows]).to(self.device)
        root = random.fold_in(torch.zeros_like(seeds), self.split)
        drawn = random.fold_in(random.fold_in(root, seeds), episodes)
        problem = drawn
        if problems is not None:
            problem = torch.from_numpy(problems).to(self.device)
        elif self.num_instances is not None:
            index = random.integers(drawn, (), self.num_instances)
            problem = random.fold_in(random.fold_in(root, "instances"), index)
        return Keys(problem=problem, run=random.fold_in(drawn, "run"), split=self.split)

    def copies(
        self, rows: np.ndarray, problems: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Which of the runs `rows` begin alike, because they have the same seed and problem.

        Returns:
            Places in `rows` of those that differ, and for each run which of these it is.
        """
        named = np.zeros_like(rows) if problems is None else problems
        origins = np.stack([self._seeds[rows], self._episodes[rows], named], axis=1)
        _, places, origin = np.unique(origins, axis=0, return_index=True, return_inverse=True)
        return places, origin.reshape(-1)


def seed_list(seed: Any, num_envs: int) -> list[int | None]:
    """One seed for each run, None where it goes on.

    Args:
        seed: an int s, which gives run i the seed s + i; None, which gives none a seed; or a list.
        num_envs: number of runs.

    Raises:
        ValueError: `seed` is none of these.
    """
    if seed is None:
        return [None] * num_envs
    if is_seed(seed):
        return [int(seed) + row for row in range(num_envs)]
    is_list = isinstance(seed, list | tuple) or (isinstance(seed, np.ndarray) and seed.ndim == 1)
    seeds = list(seed) if is_list else []
    if len(seeds) != num_envs or not all(each is None or is_seed(each) for each in seeds):
        raise ValueError(
            f"seed={shown(seed)}: expected an integer from 0 to 2**62, or a list of {num_envs} "
            "such or None"
        )
    return seeds


def single_seed(seed: Any) -> int | None:
    """The seed of one run as an int; None where it goes on.

    Raises:
        ValueError: it is neither an integer from 0 to 2**62 nor None.
    """
    if seed is not None and not is_seed(seed):
        raise ValueError(f"seed={shown(seed)}: expected an integer from 0 to 2**62, or None")
    return None if seed is None else int(seed)


def is_seed(value: Any) -> bool:
    """Whether it is an integer that numbers problems; NumPy's are, truth values and arrays are not.

    As in Gymnasium, an array without dimensions is not taken for the number in it.
    """
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_integer and bool(0 <= value < MAX_SEED)


def reset_options(
    options: Mapping[str, Any] | None, num_envs: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Which runs a reset with these options starts anew, and on which problems.

    Returns:
        A mask (num_envs,), bool, and the numbers of problems (num_envs,), int64, if they are given.

    Raises:
        TypeError: the mask is not boolean, or the options are no mapping.
        ValueError: there is another option, the mask is of another shape or empty, or the problems
            are no integers of that shape.
    """
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(f"options={shown(options)}: expected a mapping such as {{'reset_mask': …}}")
    chosen = dict(options or {})
    mask = _mask(chosen.pop("reset_mask", np.ones(num_envs, dtype=bool)), num_envs)
    problems = chosen.pop("instance", None)
    for name in chosen:
        raise ValueError(unknown("reset option", name, ("reset_mask", "instance")))
    return mask, None if problems is None else _problems(problems, num_envs)


def _mask(given: Any, num_envs: int) -> np.ndarray:
    mask = on_host(given)
    expected = f"expected ({num_envs},), bool, with at least one True"
    if mask is None:
        raise ValueError(f"reset_mask={shown(given)}: {expected}")
    described = f"reset_mask of shape {mask.shape}, dtype {mask.dtype}: {expected}"
    if mask.dtype != bool:
        raise TypeError(described)
    if mask.shape != (num_envs,) or not mask.any():
        raise ValueError(described)
    return mask


def _problems(given: Any, num_envs: int) -> np.ndarray:
    problems = on_host(given)
    if problems is not None and problems.shape == (num_envs,) and problems.dtype.kind in "iu":
        return problems.astype(np.int64)
    raise ValueError(
        f"instance={shown(given)}: expected {num_envs} integers, as infos['instance'] has them"
    )
