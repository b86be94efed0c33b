"""Readers of the binary files in which MNIST and CIFAR-10 are published."""

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autoloss_gym.data.files import DAMAGE, check_regular, most_bytes, opened
from autoloss_gym.data.image_files import Images, checked, unreadable

_CIFAR10_SHAPE = (3, 32, 32)  # channels first


def read_mnist(paths: Sequence[Path]) -> Images:
    """Read the images and labels of training, then those of testing, from four idx files."""
    train_images_path, train_labels_path, test_images_path, test_labels_path = paths
    train_images = _read_idx(train_images_path, dimensions=3)
    train_labels = _read_idx(train_labels_path, dimensions=1)
    test_images = _read_idx(test_images_path, dimensions=3)
    test_labels = _read_idx(test_labels_path, dimensions=1)

    _check_same_length(train_labels_path, train_images, train_labels)
    _check_same_length(test_labels_path, test_images, test_labels)
    if train_images.shape[1:] != test_images.shape[1:]:
        raise ValueError(
            f"{str(test_images_path)!r}: images of {test_images.shape[1:]} pixels, those of "
            f"training have {train_images.shape[1:]}"
        )

    images = np.concatenate([train_images, test_images])
    labels = np.concatenate([train_labels, test_labels])
    return checked(str(train_images_path), images, labels, num_test=len(test_images))


def read_cifar10(paths: Sequence[Path]) -> Images:
    """Read CIFAR-10's binary batches, of which the last holds the test images."""
    batches = [_read_batch(path) for path in paths]
    records = np.concatenate(batches)
    images = records[:, 1:].reshape(-1, *_CIFAR10_SHAPE)
    return checked(str(paths[0]), images, records[:, 0], num_test=len(batches[-1]))


def _read_batch(path: Path) -> np.ndarray:
    """Records of a label and the pixels of an image, (images, 3,073), uint8."""
    length = 1 + math.prod(_CIFAR10_SHAPE)
    check_regular(path, "a batch of CIFAR-10")
    try:
        with opened(path) as file:
            values = file.read(most_bytes(path) + 1)
    except DAMAGE as error:
        raise unreadable(path, "a binary batch of CIFAR-10", error) from None
    if not values or len(values) % length:
        raise ValueError(
            f"{str(path)!r}: expected records of {length:,} bytes, got {len(values):,} bytes; "
            "get the file anew"
        )
    return np.frombuffer(values, np.uint8).reshape(-1, length)


def _check_same_length(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    if len(images) != len(labels):
        raise ValueError(
            f"{str(path)!r}: {len(labels)} labels, but there are {len(images)} images; "
            "get both files anew"
        )


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an idx file of bytes, which may be packed with gzip.

    It holds two zeros, the type 8, the number of dimensions, their sizes as big-endian int32, and
    the values.
    """
    expected_magic = 0x800 + dimensions
    check_regular(path, "an idx file")
    try:
        with opened(path) as file:
            head = file.read(4 + 4 * dimensions)
            magic, *shape = struct.unpack(f">{1 + dimensions}I", head)
            if magic != expected_magic:
                raise ValueError(f"it starts with {head[:4].hex()}, expected {expected_magic:08x}")
            count = math.prod(shape)
            # One byte more than there should be shows a file that is too long.
            values = file.read(min(count, most_bytes(path)) + 1)
    except DAMAGE as error:
        raise unreadable(path, f"an idx file of {dimensions}-dimensional bytes", error) from None
    if len(values) != count:
        or_more = " or more" if len(values) > count else ""
        raise ValueError(
            f"{str(path)!r}: expected {count:,} bytes after the header, got {len(values):,}"
            f"{or_more}; get the file anew"
        )
    return np.frombuffer(values, np.uint8).reshape(shape)
