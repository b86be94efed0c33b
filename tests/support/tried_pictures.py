"""Folders and files of pictures in the forms in which users have them; each is read, or refused in
one true line.

python -m tests.support.tried_pictures        # makes them in a temporary folder and prints a table
"""

import gzip
import io
import pickle
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from autoloss_gym.data.image_files import Images
from autoloss_gym.data.images import load_images

COUNT = 40
# Blocks of one colour, so that packing with losses changes little.
COLOURS = np.random.default_rng(0).integers(0, 256, (COUNT, 3)).astype(np.uint8)
PICTURES = np.broadcast_to(COLOURS[:, None, None], (COUNT, 8, 8, 3))
LABELS = np.arange(COUNT) // 10


def packed(values: np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind, **options)
    return file.getvalue()


def side_by_side(kind: str, suffix: str, pictures: np.ndarray = PICTURES) -> dict[str, bytes]:
    return {f"{i:02}.{suffix}": packed(each, kind) for i, each in enumerate(pictures)}


def in_classes(kind: str, suffix: str) -> dict[str, bytes]:
    files = zip(LABELS, side_by_side(kind, suffix).items(), strict=True)
    return {f"class {label}/{name}": content for label, (name, content) in files}


def npz(**arrays: np.ndarray) -> dict[str, bytes]:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return {"pictures.npz": file.getvalue()}


def idx(values: np.ndarray) -> bytes:
    head = struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape)
    return head + values.astype(np.uint8).tobytes()


GREY = PICTURES[..., 0]
MNIST = {
    "train-images-idx3-ubyte": idx(GREY[:30]),
    "train-labels-idx1-ubyte": idx(LABELS[:30]),
    "t10k-images-idx3-ubyte": idx(GREY[30:]),
    "t10k-labels-idx1-ubyte": idx(LABELS[30:]),
}
LARGE = np.broadcast_to(COLOURS[:, None, None], (COUNT, 32, 32, 3))


def batches() -> dict[str, bytes]:
    """CIFAR-10's files, of 6 and at the end 10 images each."""
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    pixels = np.moveaxis(LARGE, 3, 1).reshape(COUNT, -1)
    records = np.concatenate([LABELS[:, None].astype(np.uint8), pixels], axis=1)
    parts = np.split(records, [6, 12, 18, 24, 30])
    return {name: part.tobytes() for name, part in zip(names, parts, strict=True)}


def under(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


@dataclass(frozen=True)
class Form:
    """A form of pictures.

    Args:
        what: in words.
        files: their contents by name.
        outcome: "" where the pictures are read as they are meant; else a pattern of the line.
        dataset: a name, or a path in the folder.
        size: to resize to.
        labels: whether there are any.
        losses: by which a value may differ after packing.
        remark: a pattern of what is said of pictures that are read.
    """

    what: str
    files: Mapping[str, bytes]
    outcome: str = ""
    dataset: str = "."
    size: int = 0
    labels: bool = False
    losses: int = 0
    remark: str = ""
    expected: np.ndarray = field(default_factory=lambda: PICTURES)


WIDE = packed(np.repeat(PICTURES[0], 2, axis=1), "PNG")
FORMS = (
    Form("PNG side by side", side_by_side("PNG", "png")),
    Form("JPEG, suffix in capitals", side_by_side("JPEG", "JPG"), losses=4),
    Form("WebP", side_by_side("WEBP", "webp"), losses=8),
    Form("BMP", side_by_side("BMP", "bmp")),
    Form("GIF", side_by_side("GIF", "gif")),
    Form("TIFF", side_by_side("TIFF", "tif")),
    Form("each class in a folder", in_classes("PNG", "png"), labels=True),
    Form(
        "classes, and an empty folder", in_classes("PNG", "png") | {"empty/.keep": b""}, labels=True
    ),
    Form(
        "Mac's and Windows' own files beside",
        side_by_side("PNG", "png") | {".DS_Store": b"x", "Thumbs.db": b"x"},
        remark="Left out of .*: 1 .db",
    ),
    Form(
        "HEIC and a text beside",
        side_by_side("PNG", "png") | {"a.heic": b"x", "b.HEIC": b"x", "notes.txt": b"x"},
        remark="Left out of .*: 2 .heic, 1 .txt",
    ),
    Form(
        "with transparency",
        {
            f"{i:02}.png": packed(np.concatenate([each, each[..., :1]], axis=2), "PNG")
            for i, each in enumerate(PICTURES)
        },
    ),
    Form("of different sizes, size=8", side_by_side("PNG", "png") | {"00.png": WIDE}, size=8),
    Form("NPZ of images", npz(images=PICTURES), dataset="pictures.npz"),
    Form(
        "NPZ with a column of labels (Keras)",
        npz(images=PICTURES, labels=LABELS[:, None]),
        dataset="pictures.npz",
        labels=True,
    ),
    Form("MNIST, plain", MNIST, dataset="mnist", labels=True, expected=GREY[..., None]),
    Form(
        "MNIST, packed, in MNIST/raw (torchvision)",
        {f"MNIST/raw/{name}.gz": gzip.compress(each) for name, each in MNIST.items()},
        dataset="mnist",
        labels=True,
        expected=GREY[..., None],
    ),
    Form(
        "MNIST with dots in the names",
        {name.replace("-idx", ".idx"): each for name, each in MNIST.items()},
        dataset="mnist",
        labels=True,
        expected=GREY[..., None],
    ),
    Form("a folder of MNIST's files", MNIST, labels=True, expected=GREY[..., None]),
    Form(
        "CIFAR-10's binary batches",
        under("cifar-10-batches-bin", batches()),
        dataset="cifar10",
        labels=True,
        expected=LARGE,
    ),
    Form("the folder cifar-10-batches-bin", batches(), labels=True, expected=LARGE),
    Form(
        "CIFAR-10's batches for Python",
        under("cifar-10-batches-py", {"data_batch_1": pickle.dumps({})}),
        "pickles, which can run code.*get the binary version",
        dataset="cifar10",
    ),
    Form("the folder of these", {"data_batch_1": pickle.dumps({})}, "pickles, which can run code"),
    Form("no pictures", {"a.heic": b"x"}, "no .png, .jpg.*, but 1 .heic; save them as PNG"),
    Form(
        "train/ and test/ with classes in them",
        under("train", in_classes("PNG", "png")),
        "there are some in '.*/train': give that folder",
    ),
    Form(
        "of different sizes, no size",
        side_by_side("PNG", "png") | {"40.png": WIDE},
        "40.png'?: 8 × 16 pixels, those before have 8 × 8; give the size",
    ),
    Form(
        "a picture beside classes",
        in_classes("PNG", "png") | {"stray.png": WIDE},
        "stray.png lies beside folders of classes",
    ),
    Form(
        "a picture cut off",
        side_by_side("PNG", "png") | {"40.png": packed(PICTURES[0], "PNG")[:45]},
        "40.png.*expected a picture",
    ),
    Form(
        "HTML called PNG",
        side_by_side("PNG", "png") | {"40.png": b"<html>not found</html>"},
        "40.png.*cannot identify",
    ),
    Form(
        "16 bits a channel",
        {f"{i:02}.png": packed(np.zeros((8, 8), np.uint16), "PNG") for i in range(COUNT)},
        "mode is I;16, expected 8 bits",
    ),
    Form("24 pictures", dict(list(side_by_side("PNG", "png").items())[:24]), "24 images.* 25"),
    Form("a missing folder", {}, "nowhere': there is no such file or folder", dataset="nowhere"),
    Form(
        "a packed folder", {"pictures.zip": b"PK"}, "path of an .npz file", dataset="pictures.zip"
    ),
)


def read(form: Form, folder: Path) -> tuple[Images | None, str]:
    """What comes of reading pictures: their arrays, and what is said of them."""
    folder.mkdir(exist_ok=True)
    for name, content in form.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    is_named = form.dataset in ("mnist", "cifar10")
    dataset = form.dataset if is_named else str(folder / form.dataset)
    try:
        found = load_images(dataset, str(folder), form.size)
    except ValueError as error:
        return None, str(error)
    count, height, width, channels = found.images.shape
    classes = "no labels" if found.labels is None else f"{found.labels.max() + 1} classes"
    said = " ".join(["", *found.remarks])
    return found, f"read: {count} of {height} × {width} × {channels}, {classes}.{said}"


def report() -> str:
    """A table in Markdown of all forms and what comes of each."""
    lines = ["| pictures | outcome |", "| --- | --- |"]
    for form in FORMS:
        with tempfile.TemporaryDirectory() as folder:
            _, line = read(form, Path(folder) / "pictures")
        lines.append(f"| {form.what} | {line.replace(folder + '/', '')} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())
