"""Images made smaller or larger by area averages."""

import numpy as np

_AT_ONCE = 1000


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """Each new pixel is the mean over the area that it covers.

    Args:
        images: (images, height, width, channels), uint8 or float32.
        size: the new height and width.

    Returns:
        (images, size, size, channels), of the type of `images`; uint8 is rounded to the nearest,
        halves to the even number.
    """
    height, width = images.shape[1:3]
    if (height, width) == (size, size):
        return images
    parts = []
    for start in range(0, len(images), _AT_ONCE):
        values = np.moveaxis(images[start : start + _AT_ONCE], 3, 1).astype(np.float64)
        # Sums of whole numbers are exact, so that rounding gives the same bytes on every machine.
        means = _overlaps(height, size) @ values @ _overlaps(width, size).T / (height * width)
        means = np.rint(means) if images.dtype == np.uint8 else means
        parts.append(np.ascontiguousarray(np.moveaxis(means, 1, 3), images.dtype))
    return np.concatenate(parts)


def _overlaps(length: int, size: int) -> np.ndarray:
    """How much of each old pixel every new one covers, (size, length), in parts of 1 / size: whole
    numbers of sum `length`.
    """
    new, old = np.arange(size)[:, None], np.arange(length)
    ends, starts = (
        np.minimum((new + 1) * length, (old + 1) * size),
        np.maximum(new * length, old * size),
    )
    return np.maximum(ends - starts, 0).astype(np.float64)
