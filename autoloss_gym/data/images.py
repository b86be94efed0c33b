"""Sets of images by name or path: bundled, from the data folder, or a user's own files.

Nothing is downloaded.
"""

import functools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.data.files import Stamp, check_regular, data_path, stamp
from autoloss_gym.data.image_files import Images, checked, read_npz
from autoloss_gym.data.named_images import DATA_VARIABLE, NAMED, find_named, recognised
from autoloss_gym.data.picture_folders import picture_paths, read_folder
from autoloss_gym.data.resizing import resized
from autoloss_gym.tools.fields import converted
from autoloss_gym.tools.names import unknown

BUNDLED = ("digits",)


def load_images(dataset: str, data_dir: str | None = None, size: int = 0) -> Images:
    """Read a set of images by its name, or from an NPZ file or a folder.

    Args:
        dataset: "digits", bundled with scikit-learn; "mnist", "cifar10" or "lfwcrop", whose files
            lie in the data folder or in a folder of that name in it; or a path. An NPZ file has
            "images" (images, height, width[, channels]), uint8 or numbers in [0, 1], and perhaps
            "labels" (images,), or "x_train", "x_test" and perhaps "y_train", "y_test"; channels may
            also come second. In a folder, pictures lie side by side or each class in a folder of
            its own, or it holds the files of MNIST or CIFAR-10 as they are published.
        data_dir: the data folder; by default the one that the environment variable
            AUTOLOSS_GYM_DATA names.
        size: height and width that the images are resized to, each new pixel the mean over the area
            that it covers; uint8 stays uint8, rounded. 0 leaves the images as they are.

    Files are read again only if they were rewritten.

    Raises:
        ValueError: one line that names the file that is missing or cannot be used, and what is
            expected.
    """
    dataset = converted("dataset", dataset, str)
    check_size(size)
    folder = data_folder(dataset, converted("data_dir", data_dir, str | None))
    return load_written(dataset, folder, size, image_stamp(dataset, folder))


def check_size(size: Any) -> None:
    """ValueError unless this is a number of pixels, or 0 for images as they are."""
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(
            f"size={size!r}: expected a number of pixels, or 0 to leave the images as they are"
        )


def data_folder(dataset: str, data_dir: str | None) -> str | None:
    """The folder in which the files of a data set are looked for.

    It is None where no folder is known, and for data sets that are bundled or given by a path.
    """
    if dataset not in NAMED:
        return None
    return data_dir or os.environ.get(DATA_VARIABLE) or None


def image_stamp(dataset: str, folder: str | None) -> Stamp:
    """The stamp of all files that the images come from.

    Raises:
        ValueError: one of them is missing.
    """
    if dataset in BUNDLED:
        return ()
    if dataset in NAMED:
        return stamp(find_named(dataset, folder)[1])
    path = data_path(dataset)
    if not path.is_dir():
        _check_npz(dataset, path)
        return stamp([path])
    known = recognised(path)
    return stamp(known[1] if known else picture_paths(path))


@functools.lru_cache(maxsize=8)
def load_written(dataset: str, folder: str | None, size: int, written: Stamp) -> Images:
    """`load_images` of files with this stamp, read once in a process.

    Raises:
        ValueError: they have another one by now, or cannot be used.
    """
    if size and not _is_folder_of_pictures(dataset):
        stored = load_written(dataset, folder, 0, written)
        return replace(stored, images=resized(stored.images, size))
    if image_stamp(dataset, folder) != written:
        raise ValueError(
            f"dataset={dataset!r}: its files were rewritten after the task was made; make it anew"
        )
    if dataset in BUNDLED:
        return _load_digits(dataset)
    if dataset in NAMED:
        files, paths = find_named(dataset, folder)
        return files.read(paths)
    path = data_path(dataset)
    if not path.is_dir():
        return read_npz(path)
    known = recognised(path)
    # Pictures may differ in size, so that each is resized as it is read.
    return known[0].read(known[1]) if known else read_folder(path, size)


def _is_folder_of_pictures(dataset: str) -> bool:
    path = data_path(dataset)
    is_named = dataset in BUNDLED or dataset in NAMED
    return not is_named and path.is_dir() and recognised(path) is None


def _load_digits(dataset: str) -> Images:
    from sklearn.datasets import load_digits  # noqa: PLC0415 (slow to import, needed here alone)

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    return checked(dataset, images, digits.target)


def _check_npz(dataset: str, path: Path) -> None:
    if os.sep in dataset and not path.exists():
        raise ValueError(f"dataset={dataset!r}: there is no such file or folder")
    if path.suffix.lower() != ".npz":
        message = unknown("dataset", dataset, (*BUNDLED, *NAMED))
        raise ValueError(f"{message}, or the path of an .npz file or of a folder")
    check_regular(path, "an .npz file")
