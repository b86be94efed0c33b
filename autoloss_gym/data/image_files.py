"""Images as arrays, and NPZ files of them. Files are checked, and nothing in them is executed."""

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoloss_gym.data.archives import read_arrays
from autoloss_gym.data.digests import digest_of
from autoloss_gym.data.files import DAMAGE

MIN_IMAGES = 25
MAX_CLASSES = 1000


@dataclass(frozen=True, eq=False)
class Images:
    """Images and their classes.

    Args:
        images: (images, height, width, channels), uint8, or float32 in [0, 1].
        labels: class 0, 1, … of each image, (images,), int64; None where there are none.
        num_test: number of images at the end that are the authors' own test images; 0 where they
            keep none apart.
        remarks: lines that say what was left out.
    """

    images: np.ndarray
    labels: np.ndarray | None
    num_test: int = 0
    remarks: tuple[str, ...] = ()

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of shapes, pixels and labels, in hexadecimal."""
        labels = "" if self.labels is None else digest_of(self.labels)
        return digest_of(self.images, labels)

    @property
    def num_pixels(self) -> int:
        """Numbers in an image: height · width · channels."""
        return math.prod(self.images.shape[1:])


def read_npz(path: Path) -> Images:
    """Read "images", or "x_train" and "x_test", and if they are there their labels."""
    images, labels = _npz_arrays(path)
    num_images = [len(part) for part in images]
    num_labels = [len(part) for part in labels]
    if labels and num_labels != num_images:
        raise ValueError(
            f"{str(path)!r}: {num_labels} labels for {num_images} images; give each image one, "
            "or none at all"
        )
    shapes = {part.shape[1:] for part in images}
    types = {part.dtype for part in images}
    if len(shapes) > 1 or len(types) > 1:
        raise ValueError(
            f"{str(path)!r}: 'x_train' and 'x_test' differ in the shape or the type of their images"
        )

    num_test = sum(num_images[1:])
    all_labels = np.concatenate(labels) if labels else None
    return checked(str(path), np.concatenate(images), all_labels, num_test)


def _npz_arrays(path: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The parts of the images and those of the labels, each one part or two: training and test."""
    names = ("images", "x_train", "x_test", "labels", "y_train", "y_test")
    try:
        arrays, found = read_arrays(path, names)
        images = [arrays[name] for name in names[:3] if name in arrays]
        labels = [arrays[name] for name in names[3:] if name in arrays]
        if not images or ("images" in arrays and len(images) > 1):
            raise ValueError(f"it holds {', '.join(found)}")
    except DAMAGE as error:
        expected = (
            "an NPZ file with 'images' (and 'labels'), or 'x_train' and 'x_test' "
            "(and 'y_train' and 'y_test')"
        )
        raise unreadable(path, expected, error) from None
    # Keras gives CIFAR-10 a column of labels.
    columns = [each[:, 0] if each.shape == (len(each), 1) else each for each in labels]
    return images, columns


def unreadable(path: Path, expected: str, error: Exception) -> ValueError:
    """One line about a file that a reader refuses."""
    reason = " ".join(str(error).split()[:30])
    return ValueError(f"{str(path)!r}: expected {expected}; {reason}")


def checked(name: str, images: np.ndarray, labels: np.ndarray | None, num_test: int = 0) -> Images:
    """`Images` in their documented shapes and types.

    Args:
        name: names the data set or file in errors.
        images: (images, height, width), or with channels in last or second place.
        labels: any integers, one an image, or None.
        num_test: number of test images at the end.

    Raises:
        ValueError: these are no images, or too few.
    """
    images = _with_channels_last(images)
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            f"{name!r}: images of shape {images.shape}; "
            "expected (images, height, width[, 1 or 3 channels])"
        )
    num_others = len(images) - num_test
    if num_others < MIN_IMAGES:
        raise ValueError(f"{name!r}: {num_others} images are too few; give at least {MIN_IMAGES}")
    if images.dtype != np.uint8:
        if images.dtype.kind != "f" or not ((images >= 0) & (images <= 1)).all():
            raise ValueError(
                f"{name!r}: images of type {images.dtype}; expected uint8, or floats from 0 to 1"
            )
        images = images.astype(np.float32)
    if labels is not None:
        labels = _classes(name, labels, len(images))
    return Images(np.ascontiguousarray(images), labels, num_test)


def _with_channels_last(images: np.ndarray) -> np.ndarray:
    """Images of three dimensions get one channel; what is unlike images stays as it is."""
    if images.ndim == 3:
        return images[..., None]
    if images.ndim == 4 and images.shape[3] not in (1, 3) and images.shape[1] in (1, 3):
        return np.moveaxis(images, 1, 3)
    return images


def _classes(name: str, labels: np.ndarray, count: int) -> np.ndarray:
    """Classes 0, 1, … in the order of the labels' values, int64."""
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{name!r}: labels of shape {labels.shape} and type {labels.dtype}; "
            f"expected ({count},), whole numbers"
        )
    values, classes = np.unique(labels, return_inverse=True)
    if not 2 <= len(values) <= MAX_CLASSES:
        raise ValueError(
            f"{name!r}: {len(values)} different labels; expected 2 to {MAX_CLASSES}, "
            "or no labels at all"
        )
    return classes.astype(np.int64)
