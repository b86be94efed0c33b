"""Files of the sets of images that have a name, in the places and spellings in which they come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoloss_gym.data.binary_images import read_cifar10, read_mnist
from autoloss_gym.data.image_files import Images, read_npz

DATA_VARIABLE = "AUTOLOSS_GYM_DATA"


@dataclass(frozen=True)
class FileSet:
    """Files that make up a set of images.

    Args:
        read: reads them, in this order.
        files: their names, with their sizes in bytes, plain and perhaps packed with gzip.
        folders: where they lie besides the data folder and the folder of the set's name.
    """

    read: Callable[[Sequence[Path]], Images]
    files: dict[str, tuple[int, ...]]
    folders: tuple[str, ...] = ()


_BATCHES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
_SETS: dict[str, tuple[FileSet, ...]] = {
    "mnist": (
        FileSet(
            read_mnist,
            {
                "train-images-idx3-ubyte": (47_040_016, 9_912_422),
                "train-labels-idx1-ubyte": (60_008, 28_881),
                "t10k-images-idx3-ubyte": (7_840_016, 1_648_877),
                "t10k-labels-idx1-ubyte": (10_008, 4_542),
            },
            ("MNIST/raw", "raw", "MNIST"),
        ),
    ),
    "cifar10": (
        FileSet(lambda paths: read_npz(paths[0]), {"cifar10_subset.npz": (27_940_857,)}),
        FileSet(read_cifar10, dict.fromkeys(_BATCHES, (30_730_000,)), ("cifar-10-batches-bin",)),
    ),
    "lfwcrop": (
        FileSet(lambda paths: read_npz(paths[0]), {"lfwcrop64_rgb_subset.npz": (23_759_721,)}),
    ),
}
NAMED = tuple(_SETS)
# CIFAR-10 for Python, unpacked and packed.
_PICKLES = ("data_batch_1", "cifar-10-batches-py", "cifar-10-python.tar.gz")


def find_named(dataset: str, folder: str | None) -> tuple[FileSet, list[Path]]:
    """The files of a set, all of them in one place.

    Args:
        dataset: one of `NAMED`.
        folder: the data folder, if one is known.

    Raises:
        ValueError: one line that says which files are expected where.
    """
    if folder is None:
        raise ValueError(
            f"dataset={dataset!r}: no data folder is given; set data_dir, or the environment "
            f"variable {DATA_VARIABLE}, to a folder with {_described(dataset)}"
        )
    data_dir = Path(folder).expanduser()
    own_dir = data_dir / dataset
    for files in _SETS[dataset]:
        for base in (own_dir, data_dir):
            for place in (base, *(base / name for name in files.folders)):
                paths = _paths_in(place, files)
                if paths is not None:
                    return files, paths
    for place in (own_dir, data_dir):
        refuse_pickles(place)
    raise ValueError(
        f"dataset={dataset!r}: files are missing in {str(own_dir)!r} and in {str(data_dir)!r}; "
        f"expected in one of them: {_described(dataset)}"
    )


def recognised(folder: Path) -> tuple[FileSet, list[Path]] | None:
    """The set whose files lie in this folder, by their names; None if it is none of these."""
    for sets in _SETS.values():
        for files in sets:
            for place in (folder, *(folder / name for name in files.folders)):
                paths = _paths_in(place, files)
                if paths is not None:
                    return files, paths
    return None


def refuse_pickles(folder: Path) -> None:
    """ValueError if CIFAR-10 lies here in the version for Python."""
    for name in _PICKLES:
        if (folder / name).exists():
            raise ValueError(
                f"{str(folder / name)!r}: CIFAR-10 for Python consists of pickles, which can run "
                "code and are not read; get the binary version, cifar-10-binary.tar.gz, and "
                "unpack it"
            )


def _paths_in(folder: Path, files: FileSet) -> list[Path] | None:
    """The files of a set in a folder, plain or packed; None if one is missing."""
    paths = []
    for name in files.files:
        # Some archives spell train-images.idx3-ubyte.
        spellings = (name, name.replace("-idx", ".idx"))
        found = [
            folder / f"{spelling}{packed}"
            for spelling in spellings
            for packed in ("", ".gz")
            if (folder / f"{spelling}{packed}").is_file()
        ]
        if not found:
            return None
        paths.append(found[0])
    return paths


def _described(dataset: str) -> str:
    """The names of a data set's files and their sizes, for errors."""
    choices = []
    for files in _SETS[dataset]:
        descriptions = []
        for name, sizes in files.files.items():
            in_bytes = " bytes, or with .gz ".join(f"{size:,}" for size in sizes)
            descriptions.append(f"{name} ({in_bytes} bytes)")
        choices.append("; ".join(descriptions))
    return "; or ".join(choices)
