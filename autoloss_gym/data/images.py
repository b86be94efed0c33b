"""Sets of images: bundled with scikit-learn, MNIST's idx files, NPZ files, or a folder of pictures;
nothing is downloaded.
"""

import functools
import gzip
import lzma
import math
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.data.resizing import resized
from autoloss_gym.tools.names import unknown

DATA_VARIABLE = "AUTOLOSS_GYM_DATA"
BUNDLED = ("digits",)
MIN_IMAGES = 25
MAX_CLASSES = 1000
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
_PICTURES = (".png", ".jpg", ".jpeg")
_DAMAGE = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    AttributeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class Images:
    """Images and what they show.

    Args:
        images: (images, height, width, channels), uint8, or float32 in [0, 1].
        labels: class 0, 1, … of each image, (images,), int64; None where there are none.
        num_test: how many images at the end are the authors' own test images; 0 where they keep
            none apart.
    """

    images: np.ndarray
    labels: np.ndarray | None
    num_test: int = 0

    @property
    def num_pixels(self) -> int:
        """Numbers in an image: height · width · channels."""
        return math.prod(self.images.shape[1:])


def load_images(dataset: str, data_dir: str | None = None, size: int = 0) -> Images:
    """Read a set of images by its name, or from an NPZ file or a folder.

    Args:
        dataset: "digits", bundled with scikit-learn; "mnist", "cifar10" or "lfwcrop", whose files
            lie in the data folder or in a folder of that name in it; or a path. An NPZ file has
            "images" (images, height, width[, channels]), uint8 or numbers in [0, 1], and perhaps
            "labels" (images,), or "x_train", "x_test" and perhaps "y_train", "y_test"; channels may
            also come second. In a folder, PNG and JPEG files lie side by side or each class in a
            folder of its own.
        data_dir: the data folder; by default what the environment variable AUTOLOSS_GYM_DATA names.
        size: height and width that the images are resized to, each new pixel the mean over the area
            that it covers; uint8 stays uint8, rounded. 0 leaves the images as they are.

    Files are checked, read once in a process, and nothing in them is executed.

    Raises:
        ValueError: one line that names the file that is missing or cannot be used, and what is
            expected.
    """
    if size < 0:
        raise ValueError(
            f"size={size}: expected a number of pixels, or 0 to leave the images as they are"
        )
    return _load(dataset, data_folder(data_dir) if dataset in _FILES else None, size)


def data_folder(data_dir: str | None) -> str | None:
    """Where the data sets that have a name are looked for; None where nothing says so."""
    return data_dir or os.environ.get(DATA_VARIABLE) or None


@functools.lru_cache(maxsize=8)
def _load(dataset: str, folder: str | None, size: int) -> Images:
    named = dataset in (*BUNDLED, *_FILES)
    if size and (
        named or not Path(dataset).expanduser().is_dir()
    ):  # the pictures of a folder are resized as they are read
        stored = _load(dataset, folder, 0)
        return replace(stored, images=resized(stored.images, size))
    if dataset in BUNDLED:
        from sklearn.datasets import load_digits  # noqa: PLC0415 (slow to import, needed here alone)

        digits = load_digits()
        return _checked(dataset, (digits.images / 16).astype(np.float32), digits.target)
    if dataset in _FILES:
        paths = _find(dataset, folder)
        return _read_mnist(paths) if dataset == "mnist" else _read_npz(paths[0])
    path = Path(dataset).expanduser()
    if path.is_dir():
        return _read_folder(path, size)
    if path.suffix != ".npz":
        raise ValueError(
            unknown("dataset", dataset, (*BUNDLED, *_FILES))
            + ", or the path of an .npz file or of a folder"
        )
    if not path.is_file():
        raise ValueError(
            f"dataset={dataset!r}: there is no such file; give the path of an .npz file"
        )
    return _read_npz(path)


def _find(dataset: str, folder: str | None) -> list[Path]:
    """The files of a data set, all in the folder of its name or all in the data folder."""
    files = _FILES[dataset]
    sizes = "; ".join(
        f"{name} ({' bytes, or with .gz '.join(f'{size:,}' for size in sizes)} bytes)"
        for name, sizes in files.items()
    )
    if folder is None:
        raise ValueError(
            f"dataset={dataset!r}: no data folder is given; set data_dir, or the environment variable {DATA_VARIABLE}, to a "
            f"folder with {sizes}"
        )
    places = [Path(folder).expanduser() / dataset, Path(folder).expanduser()]
    for place in places:
        found = [
            path
            for name in files
            for path in (place / name, place / f"{name}.gz")
            if path.is_file()
        ]
        stems = {path.name.removesuffix(".gz"): path for path in reversed(found)}
        if len(stems) == len(files):
            return [stems[name] for name in files]
    raise ValueError(
        f"dataset={dataset!r}: files are missing in {str(places[0])!r} and in {str(places[1])!r}; expected in one of them: "
        f"{sizes}"
    )


def _read_mnist(paths: list[Path]) -> Images:
    train_images, train_labels, test_images, test_labels = (
        _read_idx(path, dimensions) for path, dimensions in zip(paths, (3, 1, 3, 1), strict=True)
    )
    for path, images, labels in (
        (paths[1], train_images, train_labels),
        (paths[3], test_images, test_labels),
    ):
        if len(images) != len(labels):
            raise ValueError(
                f"{str(path)!r}: {len(labels)} labels, but there are {len(images)} images; get both files anew"
            )
    if train_images.shape[1:] != test_images.shape[1:]:
        raise ValueError(
            f"{str(paths[2])!r}: images of {test_images.shape[1:]} pixels, those of training have {train_images.shape[1:]}"
        )
    images, labels = (
        np.concatenate([train_images, test_images]),
        np.concatenate([train_labels, test_labels]),
    )
    return _checked(str(paths[0]), images, labels, len(test_images))


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """An idx file of bytes: two zeros, type 8, the number of dimensions, their sizes as big-endian
    int32, then the values.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * dimensions)
            magic, *shape = struct.unpack(f">{1 + dimensions}I", head)
            if magic != 0x800 + dimensions:
                raise ValueError(
                    f"it starts with {head[:4].hex()}, expected {0x800 + dimensions:08x}"
                )
            values = file.read()
    except (struct.error, *_DAMAGE) as error:
        raise _unreadable(path, f"an idx file of {dimensions}-dimensional bytes", error) from None
    count = math.prod(shape)
    if len(values) != count:
        raise ValueError(
            f"{str(path)!r}: expected {count:,} bytes after the header, got {len(values):,}; get the file anew"
        )
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read_npz(path: Path) -> Images:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            images, labels = (
                [file[name] for name in names if name in file.files]
                for names in (("images", "x_train", "x_test"), ("labels", "y_train", "y_test"))
            )
            if not images or ("images" in file.files and len(images) > 1):
                raise ValueError(f"it holds {', '.join(file.files)}")
    except (lzma.LZMAError, *_DAMAGE) as error:
        meaning = "an NPZ file with 'images' (and 'labels'), or 'x_train' and 'x_test' (and 'y_train' and 'y_test')"
        raise _unreadable(path, meaning, error) from None
    if labels and [len(each) for each in labels] != [len(each) for each in images]:
        raise ValueError(
            f"{str(path)!r}: {[len(each) for each in labels]} labels for {[len(each) for each in images]} images; "
            "give each image one, or none at all"
        )
    if len({each.shape[1:] for each in images}) > 1 or len({each.dtype for each in images}) > 1:
        raise ValueError(
            f"{str(path)!r}: 'x_train' and 'x_test' differ in the shape or the type of their images"
        )
    num_test = len(images[1]) if len(images) > 1 else 0
    return _checked(
        str(path), np.concatenate(images), np.concatenate(labels) if labels else None, num_test
    )


def _read_folder(folder: Path, size: int) -> Images:
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and _pictures(path))
    paths = [(path, index) for index, each in enumerate(classes) for path in _pictures(each)]
    alone = _pictures(folder)
    if classes and alone:
        raise ValueError(
            f"dataset={str(folder)!r}: {alone[0].name} lies beside folders of classes; move it into one of them"
        )
    pictures: list[np.ndarray] = []
    for path in [path for path, _ in paths] or alone:
        pictures.append(_read_picture(path, size))
        if pictures[-1].shape[:2] != pictures[0].shape[:2]:
            (height, width), (first_height, first_width) = (
                pictures[-1].shape[:2],
                pictures[0].shape[:2],
            )
            raise ValueError(
                f"{str(path)!r}: {height} × {width} pixels, those before have {first_height} × {first_width}; give the size to "
                "resize all of them to, such as size=32"
            )
    if not pictures:
        raise ValueError(
            f"dataset={str(folder)!r}: there is no {', '.join(_PICTURES)} file in this folder nor in its folders"
        )
    channels = max(
        picture.shape[2] for picture in pictures
    )  # grey ones among coloured ones get three equal channels
    images = np.stack(
        [np.broadcast_to(picture, (*picture.shape[:2], channels)) for picture in pictures]
    )
    return _checked(
        str(folder), images, np.array([index for _, index in paths]) if classes else None
    )


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        p
        for p in folder.iterdir()
        if p.suffix.lower() in _PICTURES and p.is_file() and not p.name.startswith(".")
    )


def _read_picture(path: Path, size: int) -> np.ndarray:
    """(height, width, 1 or 3), uint8."""
    try:
        from PIL import Image  # noqa: PLC0415 (optional)
    except ImportError:
        raise ImportError("reading pictures needs Pillow: pip install pillow") from None
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            if file.mode.startswith(("I", "F")):
                raise ValueError(f"its mode is {file.mode}, expected 8 bits a channel")
            picture: Any = file.convert("L" if file.mode in ("1", "L", "LA") else "RGB")
    except (Image.DecompressionBombError, *_DAMAGE) as error:
        raise _unreadable(path, "a PNG or JPEG picture", error) from None
    values = np.atleast_3d(np.asarray(picture, np.uint8))
    return resized(values[None], size)[0] if size else values


def _unreadable(path: Path, expected: str, error: Exception) -> ValueError:
    return ValueError(f"{str(path)!r}: expected {expected}; {' '.join(str(error).split()[:30])}")


def _checked(name: str, images: np.ndarray, labels: np.ndarray | None, num_test: int = 0) -> Images:
    """What was read, in the shapes and types of `Images`; an error where it is something else."""
    if images.ndim == 4 and images.shape[3] not in (1, 3) and images.shape[1] in (1, 3):
        images = np.moveaxis(images, 1, 3)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise ValueError(
            f"{name!r}: images of shape {images.shape}; expected (images, height, width[, 1 or 3 channels])"
        )
    if len(images) - num_test < MIN_IMAGES:
        raise ValueError(
            f"{name!r}: {len(images) - num_test} images are too few; give at least {MIN_IMAGES}"
        )
    if images.dtype != np.uint8:
        if images.dtype.kind != "f" or not ((images >= 0) & (images <= 1)).all():
            raise ValueError(
                f"{name!r}: images of type {images.dtype}; expected uint8, or floats from 0 to 1"
            )
        images = images.astype(np.float32)
    return Images(
        np.ascontiguousarray(images),
        None if labels is None else _classes(name, labels, len(images)),
        num_test,
    )


def _classes(name: str, labels: np.ndarray, count: int) -> np.ndarray:
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{name!r}: labels of shape {labels.shape} and type {labels.dtype}; expected ({count},), whole numbers"
        )
    values, classes = np.unique(labels, return_inverse=True)
    if not 2 <= len(values) <= MAX_CLASSES:
        raise ValueError(
            f"{name!r}: {len(values)} different labels; expected 2 to {MAX_CLASSES}, or no labels at all"
        )
    return classes.astype(np.int64)
