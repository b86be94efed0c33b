"""Sets of images: what each kind of file gives, by value, and what is said about one that cannot be
used.
"""

import gzip
import io
import pathlib
import pickle
import re
import struct
from pathlib import Path

import gymnasium as gym
import jaxtyping
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from autoloss_gym.data.image_files import Images
from autoloss_gym.data.image_source import ImageSource, resampled_images
from autoloss_gym.data.images import DATA_VARIABLE, load_images
from autoloss_gym.data.partition import five_way_partition
from tests.support.paths import DATA

ID = "AutoLoss/SparseAutoencoder-v1"
GREY = np.arange(40 * 6, dtype=np.uint8).reshape(40, 3, 2)  # 40 images of 3 × 2
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=3)
LABELS = np.arange(40) % 4


def idx(values: np.ndarray) -> bytes:
    return (
        struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape)
        + values.astype(np.uint8).tobytes()
    )


def mnist_files(packed: bool = False, **replaced: bytes) -> dict[str, bytes]:
    """30 images for training and 10 for testing, by file name."""
    files = {
        "train-images-idx3-ubyte": idx(GREY[:30]),
        "train-labels-idx1-ubyte": idx(LABELS[:30]),
        "t10k-images-idx3-ubyte": idx(GREY[30:]),
        "t10k-labels-idx1-ubyte": idx(LABELS[30:]),
    }
    files |= {name.replace("_", "-"): content for name, content in replaced.items()}
    return (
        {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
        if packed
        else files
    )


def write(folder: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return str(folder)


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def picture(values: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


def assert_holds(
    found: Images, images: np.ndarray, labels: np.ndarray | None, num_test: int = 0
) -> None:
    assert found.images.dtype == images.dtype
    np.testing.assert_array_equal(found.images, images if images.ndim == 4 else images[..., None])
    assert (found.labels is None) == (labels is None)
    assert labels is None or (found.labels.dtype == np.int64 and (found.labels == labels).all())
    assert found.num_test == num_test


def assert_refused(call, *culprits: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for culprit in culprits:
        assert re.search(culprit, message), message


# What is read


def test_digits_are_those_of_scikit_learn_from_0_to_1():
    found, digits = load_images("digits"), load_digits()
    assert_holds(found, (digits.images / 16).astype(np.float32), digits.target)
    assert found.images.max() == 1.0
    assert found.num_pixels == 64


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("place", ["", "mnist/"], ids=["in the data folder", "in its own folder"])
@pytest.mark.parametrize("given", ["argument", "variable"])
def test_mnist_is_read_from_its_four_files_training_images_first(
    packed, place, given, tmp_path, monkeypatch
):
    write(tmp_path, {place + name: content for name, content in mnist_files(packed).items()})
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path) if given == "variable" else "/nowhere")
    assert_holds(
        load_images("mnist", str(tmp_path) if given == "argument" else None),
        GREY,
        LABELS,
        num_test=10,
    )


@pytest.mark.parametrize(
    "images", [GREY, COLOUR, (COLOUR / 255).astype(np.float32)], ids=["grey", "colour", "floats"]
)
def test_an_npz_gives_its_images_as_they_are(images, tmp_path):
    write(
        tmp_path, {"with.npz": npz(images=images, labels=LABELS), "without.npz": npz(images=images)}
    )
    assert_holds(load_images(str(tmp_path / "with.npz")), images, LABELS)
    assert_holds(load_images(str(tmp_path / "without.npz")), images, None)


def test_labels_become_classes_from_0_in_the_order_of_their_values(tmp_path):
    write(tmp_path, {"x.npz": npz(images=GREY, labels=np.array([70, 3, 9, 3] * 10))})
    assert_holds(load_images(str(tmp_path / "x.npz")), GREY, np.array([2, 0, 1, 0] * 10))


def test_an_npz_with_a_test_part_and_channels_in_second_place_is_read_as_one_set(tmp_path):
    moved = np.moveaxis(COLOUR, 3, 1)
    content = npz(
        x_train=moved[:30],
        x_test=moved[30:],
        y_train=LABELS[:30],
        y_test=LABELS[30:],
        class_names=["a"],
    )
    assert_holds(
        load_images("cifar10", write(tmp_path, {"cifar10/cifar10_subset.npz": content})),
        COLOUR,
        LABELS,
        num_test=10,
    )


def test_a_folder_gives_one_class_for_each_of_its_folders_in_order(tmp_path):
    names = [f"{'abcd'[label]}/{number:02}.PNG" for number, label in enumerate(LABELS)]
    files = dict(zip(names, map(picture, COLOUR), strict=True)) | {
        "a/notes.txt": b"",
        "a/.hidden.png": b"",
        "empty/x.txt": b"",
    }
    order = np.argsort(LABELS, kind="stable")
    assert_holds(load_images(write(tmp_path, files)), COLOUR[order], LABELS[order])


def test_pictures_side_by_side_have_no_labels_and_grey_ones_among_coloured_ones_get_equal_channels(
    tmp_path,
):
    files = {f"{i:02}.png": picture(GREY[i] if i == 0 else COLOUR[i]) for i in range(40)}
    expected = COLOUR.copy()
    expected[0] = GREY[0][..., None]
    assert_holds(load_images(write(tmp_path, files)), expected, None)


def test_pictures_are_resized_by_averaging_where_a_size_is_given(tmp_path):
    squares = np.repeat(np.repeat(GREY[:, :2], 3, axis=1), 3, axis=2)  # 6 × 6, each value 9 times
    files = {f"{i:02}.png": picture(squares[i]) for i in range(40)}
    assert_holds(load_images(write(tmp_path, files), size=2), GREY[:, :2], None)


def by_areas(image: np.ndarray, size: int) -> np.ndarray:
    """The mean over the area of each new pixel, of an image (height, width, channels), by fine
    pixels of equal size.
    """
    height, width, channels = image.shape
    fine = np.repeat(np.repeat(image.astype(float), size, axis=0), size, axis=1)
    return fine.reshape(size, height, size, width, channels).mean(axis=(1, 3))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7], ids=lambda size: f"to {size}")
@pytest.mark.parametrize(
    "images",
    [GREY[..., None], COLOUR, (COLOUR / 255).astype(np.float32)],
    ids=["grey", "colour", "floats"],
)
def test_any_set_is_resized_to_the_mean_over_areas_where_a_size_is_given(images, size, tmp_path):
    path = write(tmp_path, {"x.npz": npz(images=images, labels=LABELS)}) + "/x.npz"
    found, expected = (
        load_images(path, size=size),
        np.stack([by_areas(image, size) for image in images]),
    )
    assert found.images.dtype == images.dtype
    assert found.images.shape == (40, size, size, images.shape[3])
    assert (found.labels == LABELS).all()
    rounding = 0.5 if images.dtype == np.uint8 else 1e-7
    assert np.abs(found.images - expected).max() <= rounding + 1e-9


def test_resized_by_hand(tmp_path):
    """2 × 2 from 3 × 3: a new pixel holds one old one, two halves and a quarter; 4 × 4 from 2 × 2:
    each old one four times.
    """
    three = np.array([[90, 60, 30], [12, 36, 0], [9, 18, 255]], np.uint8)
    two = np.array([[1, 2], [3, 4]], np.uint8)
    files = {
        "three.npz": npz(images=np.stack([three] * 30)),
        "two.npz": npz(images=np.stack([two] * 30)),
    }
    folder = write(tmp_path, files)
    # (90 + 60/2 + 12/2 + 36/4) / 2.25 = 60;  (60/2 + 30 + 36/4 + 0/2) / 2.25 = 30.67;  (12/2 + 36/4
    # + 9 + 18/2) / 2.25 = 14.67; (36/4 + 0/2 + 18/2 + 255) / 2.25 = 121.33
    assert load_images(f"{folder}/three.npz", size=2).images[29, :, :, 0].tolist() == [
        [60, 31],
        [15, 121],
    ]
    expected = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert load_images(f"{folder}/two.npz", size=4).images[0, :, :, 0].tolist() == expected


def test_each_size_of_a_set_is_kept_and_its_own_size_leaves_it_as_it_is(tmp_path):
    path = (
        write(tmp_path, {"x.npz": npz(x_train=COLOUR[:30, :2], x_test=COLOUR[30:, :2])}) + "/x.npz"
    )
    one, two = load_images(path, size=1), load_images(path, size=2)
    assert load_images(path, size=1) is one
    assert load_images(path, size=2) is two
    assert one.num_test == two.num_test == 10
    assert two.images is load_images(path).images


def test_pictures_of_different_sizes_are_resized_one_by_one(tmp_path):
    wide = np.repeat(GREY, 5, axis=2)
    files = {f"{i:02}.png": picture(GREY[i] if i % 2 else wide[i]) for i in range(40)}
    expected = np.stack([by_areas(image[..., None], 2) for image in GREY])
    found = load_images(write(tmp_path, files), size=2).images
    assert np.abs(found - expected).max() <= 0.5


def test_a_jpeg_is_read_up_to_its_own_losses(tmp_path):
    flat = [np.full((8, 8, 3), i * 6, np.uint8) for i in range(40)]
    found = load_images(
        write(tmp_path, {f"{i:02}.jpg": picture(each, "JPEG") for i, each in enumerate(flat)})
    )
    assert np.abs(found.images.astype(int) - np.stack(flat)).max() <= 2


def test_a_set_is_read_once_in_a_process(tmp_path):
    path = write(tmp_path, {"x.npz": npz(images=GREY)}) + "/x.npz"
    first = load_images(path)
    assert load_images(path) is first


# The real files, where they are


@pytest.mark.skipif(
    not (DATA / "mnist").is_dir(), reason=f"{DATA_VARIABLE} names no folder with MNIST"
)
def test_real_mnist_has_the_known_counts_of_every_digit():
    mnist = load_images("mnist", str(DATA))
    assert mnist.images.shape == (70_000, 28, 28, 1)
    train, test = mnist.labels[:60_000], mnist.labels[60_000:]
    assert np.bincount(train).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert np.bincount(test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.images[:60_000].mean() / 255 == pytest.approx(
        0.1307, abs=1e-4
    )  # as everyone's normalisation has it
    parts = five_way_partition(70_000, mnist.num_test)
    assert [len(rows) for rows in parts.values()] == [18_750, 11_250, 18_750, 11_250, 10_000]


@pytest.mark.skipif(
    not (DATA / "cifar10").is_dir(), reason=f"{DATA_VARIABLE} names no folder with CIFAR-10"
)
def test_real_cifar10_is_balanced_and_keeps_its_test_images_apart():
    cifar = load_images("cifar10", str(DATA))
    assert cifar.images.shape == (12_000, 32, 32, 3)
    assert cifar.num_test == 2_000
    assert np.bincount(cifar.labels[:10_000]).tolist() == [1000] * 10


@pytest.mark.skipif(
    not (DATA / "lfwcrop").is_dir(), reason=f"{DATA_VARIABLE} names no folder with LFWcrop"
)
def test_real_faces_at_half_their_size_are_means_over_four_pixels():
    faces, small = load_images("lfwcrop", str(DATA)), load_images("lfwcrop", str(DATA), size=32)
    assert faces.images.shape == (2_800, 64, 64, 3)
    assert faces.labels is None
    assert small.num_test == 300
    means = faces.images[:100].reshape(100, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    assert (small.images[:100] == np.rint(means)).all()


# The partition, and what runs share


@pytest.mark.parametrize("num_test", [1, 10, 33])
def test_test_images_kept_apart_are_the_test_part_and_the_rest_is_shared_in_proportion(num_test):
    parts = five_way_partition(100 + num_test, num_test)
    sizes = {
        "controller_train": 31,
        "controller_validation": 19,
        "train": 31,
        "validation": 19,
        "test": num_test,
    }
    assert {name: len(rows) for name, rows in parts.items()} == pytest.approx(sizes, abs=1)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(100 + num_test))
    assert parts["test"].tolist() == list(range(100, 100 + num_test))


def test_runs_hold_row_numbers_of_images_that_exist_once(tmp_path):
    content = npz(x_train=GREY[:30], x_test=GREY[30:], y_train=LABELS[:30], y_test=LABELS[30:])
    source = ImageSource(write(tmp_path, {"x.npz": content}) + "/x.npz")
    parts = five_way_partition(40, 10)
    rows = resampled_images(
        source, torch.arange(50), "test", num_samples=5, num_held_out=3, num_test=100
    )
    assert {name: tuple(each.shape) for name, each in rows.items()} == {
        "training": (50, 5),
        "validation": (50, 3),
        "test": (50, 10),
    }
    assert all(len(set(run.tolist())) == 5 for run in rows["training"])
    assert set(rows["training"].flatten().tolist()) == set(
        parts["train"]
    )  # over 50 runs every image of the part
    assert (rows["validation"].numpy() == parts["validation"][:3]).all()
    pixels = source.pixels_on("cpu")
    assert pixels.dtype == torch.uint8
    assert pixels is ImageSource(source.dataset).pixels_on("cpu")
    expected = torch.from_numpy(GREY.reshape(40, 6)[rows["test"][:2].numpy()]).float() / 255
    assert torch.equal(source.gather(rows["test"][:2]), expected)


def test_a_source_keeps_the_data_folder_of_the_moment_when_it_was_made(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    write(first, mnist_files())
    write(second, mnist_files(train_images_idx3_ubyte=idx(255 - GREY[:30])))
    monkeypatch.setenv(DATA_VARIABLE, str(first))
    source = ImageSource("mnist")
    monkeypatch.setenv(DATA_VARIABLE, str(second))
    assert source == ImageSource("mnist", str(first)) != ImageSource("mnist")
    assert (source.load().images[:30, ..., 0] == GREY[:30]).all()
    assert (
        ImageSource("mnist").pixels_on("cpu")[0] == torch.from_numpy(255 - GREY[0]).flatten()
    ).all()


def test_a_source_of_bundled_images_needs_no_folder_and_says_what_they_are():
    source = ImageSource("digits", "/nowhere")
    assert source == ImageSource("digits")
    assert source.image_shape == (8, 8, 1)
    assert source.has_labels
    digits = load_images("digits")
    part = digits.images[five_way_partition(1797)["controller_train"]]
    assert source.pixel_variance == pytest.approx(part.var(axis=0).mean(), rel=1e-5)
    assert (source.labels_on("cpu").numpy() == digits.labels).all()


# What cannot be used


def test_a_missing_data_set_names_the_folders_the_files_and_their_sizes(tmp_path, monkeypatch):
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    sizes = (
        "47,040,016",
        "9,912,422",
        "60,008",
        "28,881",
        "7,840,016",
        "1,648,877",
        "10,008",
        "4,542",
    )
    assert_refused(
        lambda: load_images("mnist"), DATA_VARIABLE, "data_dir", "t10k-labels-idx1-ubyte", *sizes
    )
    files = mnist_files()
    del files["t10k-labels-idx1-ubyte"]
    write(tmp_path, files)
    folder = re.escape(str(tmp_path))
    assert_refused(
        lambda: gym.make(ID, dataset="mnist", data_dir=str(tmp_path)),
        f"{folder}/mnist",
        f"{folder}'",
        *sizes,
    )


IDX = {
    "another magic number": (
        "train_images_idx3_ubyte",
        idx(GREY[:30]).replace(b"\x08\x03", b"\x0d\x03", 1),
        "00000d03.*00000803",
    ),
    "labels where images should be": ("t10k_images_idx3_ubyte", idx(LABELS), "00000801.*00000803"),
    "bytes missing": (
        "train_images_idx3_ubyte",
        idx(GREY[:30])[:-1],
        "expected 180 bytes.* got 179",
    ),
    "bytes too many": (
        "t10k_images_idx3_ubyte",
        idx(GREY[30:]) + b"x",
        "expected 60 bytes.* got 61",
    ),
    "no bytes": ("train_labels_idx1_ubyte", b"", "train-labels-idx1-ubyte.*expected an idx file"),
    "a label missing": ("train_labels_idx1_ubyte", idx(LABELS[:29]), "29 labels.* 30 images"),
    "test images of another size": (
        "t10k_images_idx3_ubyte",
        idx(GREY[30:, :2]),
        r"\(2, 2\).*\(3, 2\)",
    ),
    "a header that promises too much": (
        "t10k_images_idx3_ubyte",
        struct.pack(">4I", 0x803, *[0xFFFFFFFF] * 3),
        "t10k-images.* got 0;",
    ),
}


@pytest.mark.parametrize(("name", "content", "culprit"), IDX.values(), ids=IDX)
def test_a_broken_idx_file_is_one_line_that_names_it(name, content, culprit, tmp_path):
    folder = write(tmp_path, mnist_files(**{name: content}))
    assert_refused(lambda: load_images("mnist", folder), culprit)


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-9], lambda b: b"x" + b[1:], lambda b: b[:30] + b"!!!" + b[33:]],
    ids=["cut", "no gz", "bytes"],
)
def test_a_broken_gz_file_is_one_line_that_names_it(damage, tmp_path):
    files = mnist_files(packed=True)
    files["t10k-images-idx3-ubyte.gz"] = damage(files["t10k-images-idx3-ubyte.gz"])
    folder = write(tmp_path, files)
    assert_refused(
        lambda: load_images("mnist", folder), re.escape(folder) + "/t10k-images-idx3-ubyte.gz"
    )


FLOATS = (GREY / 255).astype(np.float32)
NPZ = {
    "no images": (npz(pictures=GREY), "'images'.*pictures"),
    "both kinds of names": (npz(images=GREY, x_train=GREY), "x_train"),
    "too few": (npz(images=GREY[:24]), "24 images.* 25"),
    "flat images": (npz(images=GREY.reshape(40, 6)), r"\(40, 6\)"),
    "four channels": (npz(images=np.zeros((40, 5, 5, 4), np.uint8)), r"\(40, 5, 5, 4\)"),
    "no pixels": (npz(images=GREY[:, :0]), r"\(40, 0, 2, 1\)"),
    "wide integers": (npz(images=GREY.astype(np.int64)), "int64.*uint8"),
    "floats to 255": (npz(images=GREY.astype(np.float32)), "from 0 to 1"),
    "NaN": (npz(images=np.where(FLOATS == 0, np.nan, FLOATS)), "from 0 to 1"),
    "a label too few": (npz(images=GREY, labels=LABELS[:39]), r"\[39\] labels for \[40\] images"),
    "labels for the training part alone": (
        npz(x_train=GREY[:30], x_test=GREY[30:], y_train=LABELS[:30]),
        r"\[30\].*\[30, 10\]",
    ),
    "real labels": (npz(images=GREY, labels=LABELS / 2), "float64.*whole numbers"),
    "one-hot labels": (npz(images=GREY, labels=np.eye(4, dtype=int)[LABELS]), r"\(40, 4\)"),
    "one class": (npz(images=GREY, labels=LABELS * 0), "1 different labels"),
    "parts of different shapes": (npz(x_train=GREY, x_test=GREY[:, :2]), "differ"),
    "cut off": (npz(images=GREY)[:200], "NPZ file"),
    "text": (b"images", "NPZ file"),
    "no bytes": (b"", "NPZ file"),
}


@pytest.mark.parametrize(("content", "culprit"), NPZ.values(), ids=NPZ)
def test_an_npz_that_cannot_be_used_is_one_line_that_names_it(content, culprit, tmp_path):
    path = write(tmp_path, {"x.npz": content}) + "/x.npz"
    assert_refused(lambda: load_images(path), re.escape(path), culprit)


class Payload:
    def __init__(self, marker: pathlib.Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return pathlib.Path.touch, (self.marker,)


@pytest.mark.parametrize(
    "whole_file", [True, False], ids=["a pickle called NPZ", "an array of objects"]
)
def test_nothing_in_an_npz_is_unpickled(whole_file, tmp_path):
    marker, payload = tmp_path / "ran", Payload(tmp_path / "ran")
    content = (
        pickle.dumps(payload) if whole_file else npz(images=np.array([payload] * 40, dtype=object))
    )
    path = write(tmp_path, {"x.npz": content}) + "/x.npz"
    assert_refused(lambda: load_images(path), "NPZ file")
    assert not marker.exists()
    loaded = np.load(path, allow_pickle=True)  # the payload is live
    if not whole_file:
        with loaded:
            loaded["images"]
    assert marker.exists()


FOLDERS = {
    "no pictures": ({"readme.txt": b""}, "no .png, .jpg, .*but 1 .txt; save them"),
    "a picture of another size": ({"zz.png": picture(GREY[0][:2])}, "zz.png.*2 × 2.*3 × 2.*size"),
    "a picture beside the classes": ({"a/0.png": picture(GREY[0])}, "lies beside"),
    "text called a picture": ({"zz.jpg": b"hello"}, "zz.jpg.*PNG, JPEG"),
    "a picture cut off": (
        {"zz.png": picture(np.zeros((50, 50), np.uint8))[:60]},
        "zz.png.*PNG, JPEG",
    ),
    "sixteen bits": ({"zz.png": picture(np.zeros((3, 2), np.uint16))}, "zz.png.*8 bits"),
}


@pytest.mark.parametrize(("files", "culprit"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_that_cannot_be_used_is_one_line_that_names_the_culprit(files, culprit, tmp_path):
    good = {} if "readme.txt" in files else {f"{i:02}.png": picture(GREY[i]) for i in range(30)}
    folder = write(tmp_path, good | files)
    assert_refused(lambda: load_images(folder), culprit)


def test_names_paths_and_sizes_that_mean_nothing_are_refused(tmp_path, monkeypatch):
    assert_refused(
        lambda: load_images("mnits"),
        "did you mean 'mnist'",
        "cifar10, digits, lfwcrop, mnist, or the path",
    )
    assert_refused(lambda: load_images(str(tmp_path / "x.npz")), "there is no such file or folder")
    monkeypatch.chdir(tmp_path)
    assert_refused(lambda: load_images("x.npz"), "there is no such file; give the path of an .npz")
    assert_refused(lambda: load_images("mnits", size=16), "did you mean 'mnist'")
    # As users have it, without the checks of annotations.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for size in (-1, 3.5, True, "8"):
        assert_refused(lambda size=size: load_images("digits", size=size), f"size={size!r}")
        assert_refused(lambda size=size: ImageSource("digits", size=size), f"size={size!r}")
    assert_refused(lambda: load_images(str(tmp_path), size=-1), "size=-1")
