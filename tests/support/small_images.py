"""Sets of images in the form of those that have a name, but of few images drawn at random."""

import gzip
import struct
from pathlib import Path

import numpy as np

_TRAINING, _TEST = 240, 40


def write_small_images(folder: Path) -> Path:
    """Write "mnist", "cifar10" and "lfwcrop", the last without labels, into a data folder."""
    generator = np.random.default_rng(0)
    count = _TRAINING + _TEST
    labels = (np.arange(count) % 10).astype(np.uint8)

    def drawn(*shape: int) -> np.ndarray:
        return generator.integers(256, size=(count, *shape), dtype=np.uint8)

    grey = drawn(28, 28)
    _write_idx(folder / "mnist/train-images-idx3-ubyte.gz", grey[:_TRAINING])
    _write_idx(folder / "mnist/train-labels-idx1-ubyte.gz", labels[:_TRAINING])
    _write_idx(folder / "mnist/t10k-images-idx3-ubyte.gz", grey[_TRAINING:])
    _write_idx(folder / "mnist/t10k-labels-idx1-ubyte.gz", labels[_TRAINING:])

    classes = {"y_train": labels[:_TRAINING], "y_test": labels[_TRAINING:]}
    _write_npz(folder / "cifar10/cifar10_subset.npz", drawn(32, 32, 3), **classes)
    _write_npz(folder / "lfwcrop/lfwcrop64_rgb_subset.npz", drawn(3, 64, 64))
    return folder


def _write_idx(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape)
    path.write_bytes(gzip.compress(head + values.tobytes()))


def _write_npz(path: Path, images: np.ndarray, **labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x_train=images[:_TRAINING], x_test=images[_TRAINING:], **labels)
