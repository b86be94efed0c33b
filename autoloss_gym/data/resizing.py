"""Resizing of images by area averages."""

import numpy as np

_AT_ONCE = 1000  # images, which bounds the memory that their float64 copies take


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """Images of another size, each of whose pixels is the mean over the area that it covers.

    Args:
        images: (images, height, width, channels), uint8 or float32.
        size: the new height and width.

    Returns:
        (images, size, size, channels), of the dtype of `images`; uint8 is rounded to the nearest
        integer, halves to the even one.
    """
    height, width = images.shape[1:3]
    if (height, width) == (size, size):
        return images
    rows = _overlaps(height, size)
    columns = _overlaps(width, size).T
    parts = []
    for start in range(0, len(images), _AT_ONCE):
        values = np.moveaxis(images[start : start + _AT_ONCE], 3, 1).astype(np.float64)
        # Sums of whole numbers are exact, so that rounding gives the same bytes on every machine.
        means = rows @ values @ columns / (height * width)
        if images.dtype == np.uint8:
            means = np.rint(means)
        parts.append(np.ascontiguousarray(np.moveaxis(means, 1, 3), images.dtype))
    return np.concatenate(parts)


class AreaMeans:
    """One large image of bytes, resized as `resized` does, from bands of its rows.

    Args:
        height, width, channels: of the image.
        size: the new height and width.
    """

    def __init__(self, height: int, width: int, channels: int, size: int) -> None:
        self._rows = _overlaps(height, size)
        self._columns = _overlaps(width, size).T
        self._pixels = height * width
        self._sums = np.zeros((channels, size, size))

    def add(self, top: int, band: np.ndarray) -> None:
        """Take in the rows from `top` on, (rows, width, channels), uint8."""
        values = np.moveaxis(band, 2, 0).astype(np.float64)
        # Sums of whole numbers are exact, in any order.
        self._sums += self._rows[:, top : top + len(band)] @ values @ self._columns

    def rounded(self) -> np.ndarray:
        """The new image, (size, size, channels), uint8."""
        means = np.rint(self._sums / self._pixels)
        return np.ascontiguousarray(np.moveaxis(means, 0, 2), np.uint8)


def _overlaps(length: int, size: int) -> np.ndarray:
    """Length of each old pixel that every new one covers, (size, length).

    In units of 1 / `size` of an old pixel: whole numbers, and `length` in each row's sum.
    """
    new = np.arange(size)[:, None]
    old = np.arange(length)
    starts = np.maximum(new * length, old * size)
    ends = np.minimum((new + 1) * length, (old + 1) * size)
    return np.maximum(ends - starts, 0).astype(np.float64)
