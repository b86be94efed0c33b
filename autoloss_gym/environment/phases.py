"""Where in its episode every run is, kept on the host: when it is validated, ends and resets."""

import copy

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode


class Phases:
    """Counts the updates of every run, and remembers which have ended and wait for a reset.

    `rows` numbers the runs in the batch of the environment.

    Args:
        num_envs: number of runs.
        mode: when a run that has ended is reset.
        validate_every: updates between two validations.
        max_steps: updates in an episode.
    """

    def __init__(
        self, num_envs: int, mode: AutoresetMode, validate_every: int, max_steps: int
    ) -> None:
        self.rows = np.arange(num_envs)
        self.elapsed = np.zeros(num_envs, dtype=np.int64)
        self.finished = np.zeros(num_envs, dtype=bool)
        self._mode = mode
        self._validate_every = validate_every
        self._max_steps = max_steps

    def of(self, rows: np.ndarray) -> "Phases":
        """The runs `rows` (indices) on their own."""
        part = copy.copy(self)
        part.rows = self.rows[rows]
        part.elapsed, part.finished = self.elapsed[rows], self.finished[rows]
        return part

    def take_back(self, rows: np.ndarray, part: "Phases") -> None:
        """Put the runs `rows` to where `part` has brought them."""
        self.elapsed[rows] = part.elapsed
        self.finished[rows] = part.finished

    def begin_step(self) -> np.ndarray:
        """Runs that this step only resets, (num_envs,), bool: those that have ended (NextStep).

        Raises:
            gymnasium.error.ResetNeeded: runs have ended, and it is for the caller to reset them.
        """
        if self._mode == AutoresetMode.DISABLED and self.finished.any():
            rows = np.flatnonzero(self.finished).tolist()
            raise gymnasium.error.ResetNeeded(
                f"environments {rows} have ended and autoreset is disabled: call "
                "reset(options={'reset_mask': …}) first"
            )
        return self.finished.copy()

    def advance(self, updates: int, resetting: np.ndarray) -> np.ndarray:
        """Count the updates of a step; return the runs that are due for a validation."""
        self.elapsed += updates
        return (self.elapsed % self._validate_every == 0) & ~resetting

    def until_validation(self) -> int:
        """Updates after which the next validation of any run is due, at least 1."""
        return int(self._validate_every - (self.elapsed % self._validate_every).max())

    def spent(self) -> np.ndarray:
        """Runs that have made all their updates, (num_envs,), bool."""
        return self.elapsed >= self._max_steps

    def refreshed(self, validated: np.ndarray) -> np.ndarray:
        """Runs whose metrics are new: those that are `validated`, and those that begin."""
        return validated | (self.elapsed == 0)

    def end_step(self, resetting: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """Note the runs that have ended; return those that are to be reset now."""
        if self._mode == AutoresetMode.SAME_STEP:
            return resetting | ended
        self.finished = ended
        return resetting

    def restart(self, rows: np.ndarray) -> None:
        """The runs `rows` (indices) begin an episode."""
        self.elapsed[rows] = 0
        self.finished[rows] = False
