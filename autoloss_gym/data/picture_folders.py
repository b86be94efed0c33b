"""Reader of folders of PNG and JPEG pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autoloss_gym.data.image_files import DAMAGE, Images, checked, unreadable
from autoloss_gym.data.resizing import resized

_PICTURES = (".png", ".jpg", ".jpeg")


def read_folder(folder: Path, size: int) -> Images:
    """Read PNG and JPEG files that lie side by side, or each class in a folder of its own.

    Each picture is resized to `size` × `size` pixels as it is read, unless `size` is 0.
    """
    paths = _pictures_in(folder)
    classes = [path for path in sorted(folder.iterdir()) if path.is_dir() and _pictures_in(path)]
    if classes and paths:
        raise ValueError(
            f"dataset={str(folder)!r}: {paths[0].name} lies beside folders of classes; "
            "move it into one of them"
        )

    labels: list[int] = []
    for label, class_folder in enumerate(classes):
        found = _pictures_in(class_folder)
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise ValueError(
            f"dataset={str(folder)!r}: there is no {', '.join(_PICTURES)} file in this folder "
            "nor in its folders"
        )
    images = _read_pictures(paths, size)
    return checked(str(folder), images, np.array(labels) if classes else None)


def _pictures_in(folder: Path) -> list[Path]:
    """PNG and JPEG files of a folder, without hidden ones, in the order of their names."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _PICTURES and path.is_file() and not path.name.startswith(".")
    ]


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
        raise ImportError("reading pictures needs Pillow: pip install pillow") from None
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            if file.mode.startswith(("I", "F")):
                raise ValueError(f"its mode is {file.mode}, expected 8 bits a channel")
            is_grey = file.mode in ("1", "L", "LA")
            picture: Any = file.convert("L" if is_grey else "RGB")
    except (Image.DecompressionBombError, *DAMAGE) as error:
        raise unreadable(path, "a PNG or JPEG picture", error) from None
    values = np.atleast_3d(np.asarray(picture, np.uint8))
    return resized(values[None], size)[0] if size else values
