"""Files made to fill the memory: one line, at once, in little memory."""

import gzip
import json
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.support.paths import ROOT

GIGABYTE = 2**30
# Plays one file after the other in a process of its own, and prints the memory that it took.
PROGRAM = """
import json, resource, sys
import gymnasium, autoloss_gym
ids = {"table": "AutoLoss/QuadraticRegression-v1", "images": "AutoLoss/SparseAutoencoder-v1"}
for id in ids.values():
    gymnasium.make(id).reset(seed=0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
lines = []
for kind, arguments in json.loads(sys.argv[1]):
    try:
        gymnasium.make(ids[kind], **arguments).reset(seed=0)
        lines.append("read")
    except ValueError as error:
        lines.append(str(error))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([(after - before) / 1024, lines]))
"""


def repeated_gzip(start: bytes, block: bytes, size: int) -> bytes:
    """Packed text: `start`, and `block` again and again."""
    many = block * (2**24 // len(block))
    return gzip.compress(start) + gzip.compress(many, 1) * (size // len(many))


def npy_head(shape: tuple[int, ...], dtype: str) -> bytes:
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def write_claims(path: Path, **heads: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, head in heads.items():
            archive.writestr(f"{name}.npy", head + bytes(100))


def write_zeros(path: Path, **heads: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, head in heads.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(head)
                for _ in range(25):
                    member.write(bytes(2**24))


def picture_head(side: int) -> bytes:
    """The beginning of a PNG file of side × side pixels, and too little after it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99)))


def hostile_files(folder: Path) -> list[tuple[str, dict[str, object], str]]:
    """Kind of task, its arguments, and a part of the line."""
    (folder / "line.csv").write_bytes(b"a,b\n" + b"1," * 50_000_000)
    (folder / "record.csv").write_bytes(b"a,b\n" + b'"\n",' * 25_000_000)
    (folder / "rows.csv.gz").write_bytes(repeated_gzip(b"a,b\n", b"0,0\n", GIGABYTE))
    (folder / "line.csv.gz").write_bytes(repeated_gzip(b"a,b\n", b"0,", GIGABYTE))
    with (folder / "sparse.csv").open("wb") as file:
        file.truncate(1024 * GIGABYTE)
    write_claims(
        folder / "claims.npz",
        inputs=npy_head((10**6, 10**6), "<f8"),
        targets=npy_head((10**6,), "<f8"),
        images=npy_head((10**6, 1000, 1000), "|u1"),
    )
    write_zeros(
        folder / "zeros.npz",
        inputs=npy_head((25, 2**24), "|u1"),
        images=npy_head((25, 4096, 4096), "|u1"),
    )
    with zipfile.ZipFile(folder / "zeros.npz", "a") as archive:
        archive.writestr(
            "targets.npy", npy_head((25,), "|u1") + np.arange(25, dtype="u1").tobytes()
        )

    mnist = folder / "mnist"
    pictures = folder / "pictures"
    mnist.mkdir()
    pictures.mkdir()
    head = struct.pack(">4I", 0x803, GIGABYTE // 784, 28, 28)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        packed = repeated_gzip(head, bytes(1), GIGABYTE)
        (mnist / f"{name}-ubyte.gz").write_bytes(packed)
    for number in range(25):
        (pictures / f"{number}.png").write_bytes(picture_head(13_000))

    def at(name: str) -> dict[str, object]:
        return {"dataset": str(folder / name)}

    return [
        ("table", at("line.csv"), "a record has more than"),
        ("table", at("record.csv"), "a record has more than"),
        ("table", at("rows.csv.gz"), "times its size"),
        ("table", at("line.csv.gz"), "times its size"),
        ("table", at("sparse.csv"), "this is not text"),
        ("table", at("claims.npz"), "claims 8,000,000,000,000 bytes"),
        ("images", at("claims.npz"), "claims 1,000,000,000,000 bytes"),
        ("table", at("zeros.npz"), "times its size"),
        ("images", at("zeros.npz"), "times its size"),
        ("images", {"dataset": "mnist", "data_dir": str(folder)}, "after the header, got 1"),
        ("images", at("pictures") | {"size": 8}, "13,000 × 13,000 pixels, at most"),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="needs the module resource")
def test_files_made_to_fill_the_memory_are_one_line_and_take_less_than_300_mb(tmp_path):
    files = hostile_files(tmp_path)
    given = json.dumps([(kind, arguments) for kind, arguments, _ in files])
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    megabytes, lines = json.loads(done.stdout)
    print(f"{megabytes:.0f} MB")
    for line, (_, _, part) in zip(lines, files, strict=True):
        assert part in line
        assert "\n" not in line
    assert megabytes < 300
