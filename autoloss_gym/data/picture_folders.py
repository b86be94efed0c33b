"""Reader of folders of pictures."""

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.data.files import DAMAGE
from autoloss_gym.data.image_files import Images, checked, unreadable
from autoloss_gym.data.named_images import refuse_pickles
from autoloss_gym.data.resizing import AreaMeans

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_MOST_PIXELS = 40_000_000  # of one picture; a camera of today makes 12 to 25 million
_BAND = 2**20  # pixels that are unpacked at once


def picture_paths(folder: Path) -> list[Path]:
    """Pictures that lie side by side in a folder, or each class in a folder of its own.

    Raises:
        ValueError: there is none, or some lie side by side and others in folders.
    """
    beside = _pictures_in(folder)
    inside = [path for each in _class_folders(folder) for path in _pictures_in(each)]
    if beside and inside:
        raise ValueError(
            f"dataset={str(folder)!r}: {beside[0].name} lies beside folders of classes; "
            "move it into one of them"
        )
    if not beside and not inside:
        refuse_pickles(folder)
        raise ValueError(
            f"dataset={str(folder)!r}: there is no {', '.join(_SUFFIXES)} file in this folder "
            f"nor in its folders{_advice(folder)}"
        )
    return beside or inside


def read_folder(folder: Path, size: int) -> Images:
    """Read the pictures of a folder.

    Each picture is resized to `size` × `size` pixels as it is read, unless `size` is 0. Of moving
    pictures the first is read.

    Raises:
        ValueError: one line that names the picture that cannot be used.
    """
    paths = picture_paths(folder)
    classes = [path.parent for path in paths]
    names = sorted(set(classes))
    labels = None if names == [folder] else np.array([names.index(each) for each in classes])
    images = checked(str(folder), _read_pictures(paths, size), labels)
    left_out = _left_out(folder)
    remarks = (f"Left out of {folder.name}: {left_out}.",) if left_out else ()
    return Images(images.images, images.labels, remarks=remarks)


def _class_folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir()]


def _files_in(folder: Path) -> list[Path]:
    """What is in a folder besides folders and hidden files, in the order of the names."""
    found = sorted(folder.iterdir())
    return [path for path in found if not path.is_dir() and not path.name.startswith(".")]


def _pictures_in(folder: Path) -> list[Path]:
    found = _files_in(folder)
    return [path for path in found if path.suffix.lower() in _SUFFIXES and path.is_file()]


def _left_out(folder: Path) -> str:
    """How many files of a folder are no pictures, by the ends of their names; "" for none."""
    counts: Counter[str] = Counter()
    for each in (folder, *_class_folders(folder)):
        others = set(_files_in(each)) - set(_pictures_in(each))
        counts.update(path.suffix.lower() or "nameless" for path in others)
    return ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common(5))


def _advice(folder: Path) -> str:
    """What is to be said of a folder without pictures."""
    for path in folder.glob("*/*/*"):
        if path.suffix.lower() in _SUFFIXES:
            return f"; there are some in {str(path.parent.parent)!r}: give that folder"
    left_out = _left_out(folder)
    return f", but {left_out}; save them as PNG" if left_out else ""


def _read_pictures(paths: Sequence[Path], size: int) -> np.ndarray:
    """Pictures of one size, (pictures, height, width, 1 or 3), uint8."""
    pictures: list[np.ndarray] = []
    for path in paths:
        picture = _read_picture(path, size)
        pictures.append(picture)
        height, width, _ = picture.shape
        first_height, first_width, _ = pictures[0].shape
        if (height, width) != (first_height, first_width):
            raise ValueError(
                f"{str(path)!r}: {height} × {width} pixels, those before have "
                f"{first_height} × {first_width}; give the size to resize all of them to, "
                "such as size=32"
            )

    # Grey pictures among coloured ones get three equal channels.
    height, width, _ = pictures[0].shape
    channels = max(picture.shape[2] for picture in pictures)
    return np.stack([np.broadcast_to(each, (height, width, channels)) for each in pictures])


def _read_picture(path: Path, size: int) -> np.ndarray:
    """One picture, (height, width, 1 or 3), uint8."""
    try:
        from PIL import Image  # noqa: PLC0415 (optional)
    except ImportError:
        raise ValueError("reading pictures needs Pillow: pip install pillow") from None
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures; here they are refused.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(path, formats=_FORMATS)
        with opened as file:
            if file.width * file.height > _MOST_PIXELS:
                raise ValueError(
                    f"it has {file.height:,} × {file.width:,} pixels, at most {_MOST_PIXELS:,} "
                    "are read; make it smaller"
                )
            if file.mode.startswith(("I", "F")):
                raise ValueError(f"its mode is {file.mode}, expected 8 bits a channel")
            return _pixels(file, size)
    except (Image.DecompressionBombError, *DAMAGE) as error:
        raise unreadable(path, f"a picture ({', '.join(_FORMATS)})", error) from None


def _pixels(picture: Any, size: int) -> np.ndarray:
    """The pixels of an open picture, (height, width, 1 or 3), uint8, resized if `size` is not 0."""
    mode = "L" if picture.mode in ("1", "L", "LA") else "RGB"
    height, width = picture.height, picture.width
    if size and (height, width) != (size, size):
        means = AreaMeans(height, width, len(mode), size)
        for top, band in _bands(picture, mode):
            means.add(top, band)
        return means.rounded()
    pixels = np.empty((height, width, len(mode)), np.uint8)
    for top, band in _bands(picture, mode):
        pixels[top : top + len(band)] = band
    return pixels


def _bands(picture: Any, mode: str) -> Iterator[tuple[int, np.ndarray]]:
    """The first row of each band of a picture, and its pixels, (rows, width, channels)."""
    rows = max(1, _BAND // picture.width)
    for top in range(0, picture.height, rows):
        bottom = min(top + rows, picture.height)
        band = picture.crop((0, top, picture.width, bottom)).convert(mode)
        yield top, np.atleast_3d(np.asarray(band, np.uint8))
