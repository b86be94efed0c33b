"""Animated pictures of what a model makes while it is trained."""

import functools
import importlib.util
import sys
from pathlib import Path

import numpy as np

from autoloss_gym.tools.files import replacing

FILM = "samples.gif"
_MOST_FRAMES = 100  # about ten seconds, and a bound on memory
_LEAST_PIXELS = 256  # height of the film: digits of 8 × 8 pixels would be too small to be seen
_MILLISECONDS = 100  # of a frame
_LAST_MILLISECONDS = 2000  # of the last one, so that the end can be seen


class Film:
    """Frames of one training run at equal distances, at most a hundred however long it is."""

    def __init__(self) -> None:
        self._frames: list[np.ndarray] = []
        self._offered = 0
        self._stride = 1
        self.latest: np.ndarray | None = None

    def add(self, frame: np.ndarray) -> None:
        """Take the next picture, uint8 (rows, columns, 3); the newest is always kept."""
        self.latest = frame
        if self._offered % self._stride == 0:
            self._frames.append(frame)
        self._offered += 1
        if len(self._frames) > _MOST_FRAMES:
            self._frames = self._frames[::2]
            self._stride *= 2

    def frames(self) -> list[np.ndarray]:
        """The frames in order; the last one is the newest picture."""
        if self.latest is None or self._frames[-1] is self.latest:
            return list(self._frames)
        return [*self._frames, self.latest]

    def save(self, folder: Path) -> None:
        """Write `samples.gif`, or without Pillow say how to get it."""
        frames = self.frames()
        if not frames:
            return
        if importlib.util.find_spec("PIL") is None:
            _hint()
            return
        from PIL import Image

        first, *others = [Image.fromarray(_enlarged(frame)) for frame in frames]
        durations = [_MILLISECONDS] * len(others) + [_LAST_MILLISECONDS]
        with replacing(folder / FILM) as temporary:
            first.save(
                temporary,
                format="GIF",
                save_all=True,
                append_images=others,
                duration=durations,
                loop=0,
            )


def _enlarged(frame: np.ndarray) -> np.ndarray:
    """The frame with every pixel repeated until it is high enough."""
    factor = -(-_LEAST_PIXELS // frame.shape[0])
    return frame.repeat(factor, axis=0).repeat(factor, axis=1)


@functools.cache  # once in a process, not at every checkpoint
def _hint() -> None:
    print(f"no {FILM}: it needs Pillow: pip install 'autoloss_gym[images]'", file=sys.stderr)
