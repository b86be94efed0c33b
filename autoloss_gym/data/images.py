"""Sets of images by name or path: bundled, from the data folder, or a user's own files.

Nothing is downloaded.
"""

import functools
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from autoloss_gym.data.image_files import Images, checked, read_mnist, read_npz
from autoloss_gym.data.picture_folders import read_folder
from autoloss_gym.data.resizing import resized
from autoloss_gym.tools.names import unknown

DATA_VARIABLE = "AUTOLOSS_GYM_DATA"
BUNDLED = ("digits",)
# Files of the data sets that have a name, with their sizes in bytes, plain and packed with gzip.
_FILES: dict[str, dict[str, tuple[int, ...]]] = {
    "mnist": {
        "train-images-idx3-ubyte": (47_040_016, 9_912_422),
        "train-labels-idx1-ubyte": (60_008, 28_881),
        "t10k-images-idx3-ubyte": (7_840_016, 1_648_877),
        "t10k-labels-idx1-ubyte": (10_008, 4_542),
    },
    "cifar10": {"cifar10_subset.npz": (27_940_857,)},
    "lfwcrop": {"lfwcrop64_rgb_subset.npz": (23_759_721,)},
}


def load_images(dataset: str, data_dir: str | None = None, size: int = 0) -> Images:
    """Read a set of images by its name, or from an NPZ file or a folder.

    Args:
        dataset: "digits", bundled with scikit-learn; "mnist", "cifar10" or "lfwcrop", whose files
            lie in the data folder or in a folder of that name in it; or a path. An NPZ file has
            "images" (images, height, width[, channels]), uint8 or numbers in [0, 1], and perhaps
            "labels" (images,), or "x_train", "x_test" and perhaps "y_train", "y_test"; channels may
            also come second. In a folder, PNG and JPEG files lie side by side or each class in a
            folder of its own.
        data_dir: the data folder; by default the one that the environment variable
            AUTOLOSS_GYM_DATA names.
        size: height and width that the images are resized to, each new pixel the mean over the area
            that it covers; uint8 stays uint8, rounded. 0 leaves the images as they are.

    Files are read once in a process.

    Raises:
        ValueError: one line that names the file that is missing or cannot be used, and what is
            expected.
    """
    if size < 0:
        raise ValueError(
            f"size={size}: expected a number of pixels, or 0 to leave the images as they are"
        )
    return _load(dataset, data_folder(dataset, data_dir), size)


def data_folder(dataset: str, data_dir: str | None) -> str | None:
    """The folder in which the files of a data set are looked for.

    It is None where no folder is known, and for data sets that are bundled or given by a path.
    """
    if dataset not in _FILES:
        return None
    return data_dir or os.environ.get(DATA_VARIABLE) or None


@functools.lru_cache(maxsize=8)
def _load(dataset: str, folder: str | None, size: int) -> Images:
    path = Path(dataset).expanduser()
    is_named = dataset in BUNDLED or dataset in _FILES
    if not is_named and path.is_dir():
        # Its pictures may differ in size, so that each is resized as it is read.
        return read_folder(path, size)
    if size:
        stored = _load(dataset, folder, 0)
        return replace(stored, images=resized(stored.images, size))
    if dataset in BUNDLED:
        return _load_digits(dataset)
    if dataset in _FILES:
        paths = _find(dataset, folder)
        return read_mnist(paths) if dataset == "mnist" else read_npz(paths[0])
    return _load_npz(dataset, path)


def _load_digits(dataset: str) -> Images:
    from sklearn.datasets import load_digits  # noqa: PLC0415 (slow to import, needed here alone)

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    return checked(dataset, images, digits.target)


def _load_npz(dataset: str, path: Path) -> Images:
    if path.suffix != ".npz":
        message = unknown("dataset", dataset, (*BUNDLED, *_FILES))
        raise ValueError(f"{message}, or the path of an .npz file or of a folder")
    if not path.is_file():
        raise ValueError(
            f"dataset={dataset!r}: there is no such file; give the path of an .npz file"
        )
    return read_npz(path)


def _find(dataset: str, folder: str | None) -> list[Path]:
    """The files of a data set, all in the folder of its name or all in the data folder."""
    if folder is None:
        raise ValueError(
            f"dataset={dataset!r}: no data folder is given; set data_dir, or the environment "
            f"variable {DATA_VARIABLE}, to a folder with {_described_files(dataset)}"
        )
    data_dir = Path(folder).expanduser()
    own_dir = data_dir / dataset
    for place in (own_dir, data_dir):
        paths = _files_in(place, dataset)
        if paths is not None:
            return paths
    raise ValueError(
        f"dataset={dataset!r}: files are missing in {str(own_dir)!r} and in {str(data_dir)!r}; "
        f"expected in one of them: {_described_files(dataset)}"
    )


def _files_in(folder: Path, dataset: str) -> list[Path] | None:
    """The files of a data set in a folder, plain or packed; None if one is missing."""
    paths = []
    for name in _FILES[dataset]:
        plain = folder / name
        packed = folder / f"{name}.gz"
        if plain.is_file():
            paths.append(plain)
        elif packed.is_file():
            paths.append(packed)
        else:
            return None
    return paths


def _described_files(dataset: str) -> str:
    """The names of a data set's files and their sizes, for errors."""
    descriptions = []
    for name, sizes in _FILES[dataset].items():
        in_bytes = " bytes, or with .gz ".join(f"{size:,}" for size in sizes)
        descriptions.append(f"{name} ({in_bytes} bytes)")
    return "; ".join(descriptions)
