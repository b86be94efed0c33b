"""NPZ files: arrays are read once it is known that they are as large as they claim to be."""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from autoloss_gym.data.files import check_regular, most_bytes, too_large

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_arrays(path: Path, wanted: Iterable[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Those of the `wanted` arrays that an NPZ file holds, and the names of all that it holds.

    Nothing is unpickled.

    Raises:
        ValueError: this is no file, or it or an array claims more bytes than there are.
        Exception: one of `autoloss_gym.data.files.DAMAGE`: the file is damaged or of another kind.
    """
    check_regular(path, "an .npz file")
    arrays = {}
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        found = [name for name in wanted if name in members]
        if sum(members[name].file_size for name in found) > most_bytes(path):
            raise too_large(path)
        for name in found:
            _check_size(name, archive, members[name])
            with archive.open(members[name]) as stored:
                arrays[name] = np.lib.format.read_array(stored, allow_pickle=False)
    return arrays, list(members)


def _check_size(name: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """ValueError if an array's header claims more bytes than the file has."""
    with archive.open(member) as stored:
        version = np.lib.format.read_magic(stored)
        if version not in _HEADERS:
            raise ValueError(f"array {name!r} is in version {version} of NumPy's format")
        shape, _, dtype = _HEADERS[version](stored)
    if dtype.hasobject:
        raise ValueError(f"array {name!r} holds Python objects, which could run code")
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > member.file_size:
        raise ValueError(
            f"array {name!r} claims {claimed:,} bytes in the shape {shape}, the file has "
            f"{member.file_size:,} for it"
        )
