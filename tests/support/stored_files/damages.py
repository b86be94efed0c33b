"""Ways in which a stored file can be wrong, drawn at random."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from safetensors import safe_open

from autoloss_gym.tools.stored import write_arrays

WRONG_VALUES = (
    None, True, False, 0, 1, -1, 7, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e30, 1e308, "", "x", "1", "ä\n", "nan",
    [], [1], ["x"], [[]], {}, {"x": 1}, {"": {}}, "../x", "x:Y", "/dev/zero",
)  # fmt: skip
WRONG_DTYPES = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


Damage = Callable[[Path, Random, Path], str | None]


# Damages: the file is not what was written


def truncated(path: Path, random: Random, canary: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: random.randrange(len(content) + 1) // random.choice((1, 1, 50))])


def flipped_bits(path: Path, random: Random, canary: Path) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(random.choice((1, 1, 1, 3, 100))):
        # Half of them at the beginning, where names and sizes stand.
        reach = random.choice((min(len(content), 400), len(content)))
        content[random.randrange(reach)] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def overwritten(path: Path, random: Random, canary: Path) -> None:
    content = bytearray(path.read_bytes())
    start = random.randrange(len(content))
    length = random.choice((1, 8, 100, len(content)))
    filling = random.choice((b"\0", b"\xff", b"9", b"["))
    content[start : start + length] = filling * length
    path.write_bytes(content)


def spliced(path: Path, random: Random, canary: Path) -> None:
    content = path.read_bytes()
    first, second = sorted(random.randrange(len(content) + 1) for _ in range(2))
    part = content[first:second]
    path.write_bytes(random.choice((content + part, content[:first] + content[second:], part * 3)))


def random_bytes(path: Path, random: Random, canary: Path) -> None:
    path.write_bytes(random.randbytes(random.choice((0, 1, 8, 100, 10_000))))


def no_file(path: Path, random: Random, canary: Path) -> None:
    path.unlink()
    random.choice(
        (
            path.mkdir,
            lambda: os.mkfifo(path),
            lambda: path.symlink_to("/dev/zero"),
            lambda: path.symlink_to("/dev/null"),
            lambda: path.symlink_to(path),
            lambda: path.symlink_to("nowhere"),
            lambda: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40),
            lambda: None,
        )
    )()


def pickled(path: Path, random: Random, canary: Path) -> None:
    import torch

    payload = Canary(canary)
    if random.random() < 0.3:
        path.write_bytes(pickle.dumps(payload))
    elif random.random() < 0.5:
        torch.save({"format": 2, "steps": payload}, path)
    else:
        with path.open("wb") as file:
            np.savez(file, curve=np.array([payload], dtype=object))


def of_another_kind(path: Path, random: Random, canary: Path) -> None:
    """Another file of the same folder, or one with JSON where arrays belong."""
    others = [each for each in sorted(path.parent.rglob("*")) if each.is_file() and each != path]
    if others and random.random() < 0.7:
        shutil.copy(random.choice(others), path)
    else:
        path.write_text(random.choice(("{}", "[]", "null", '{"format": 2}', "[" * 50_000)))


def with_another_format(path: Path, random: Random, canary: Path) -> None:
    wanted = str(random.choice((0, 1, 3, 10**9, -1, "x", None)))
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"format": wanted}))
    else:
        content = path.read_bytes()
        path.write_bytes(content.replace(b'"format": "2"', f'"format": "{wanted[:1]}"'.encode()))


DAMAGES: tuple[Damage, ...] = (
    truncated,
    flipped_bits,
    overwritten,
    spliced,
    random_bytes,
    no_file,
    pickled,
    of_another_kind,
    with_another_format,
)


# Forgeries: a file as the package writes it, with a right checksum or none, of other content


def forged(path: Path, random: Random, canary: Path) -> str:
    """Change one entry of a file and write it anew; what was changed."""
    if path.suffix == ".json":
        return _forged_values(path, random)
    return _forged_arrays(path, random)


def _forged_values(path: Path, random: Random) -> str:
    content = json.loads(path.read_text())
    del content["checksum"]
    places = list(_places(content))
    holder, name = random.choice(places)
    change = random.choice(("replace", "replace", "replace", "delete", "rename"))
    before = holder[name]
    if change == "replace":
        holder[name] = random.choice(WRONG_VALUES)
    elif change == "delete" or isinstance(holder, list):
        del holder[name]
    else:
        holder["x" + name] = holder.pop(name)
    path.write_text(json.dumps(content))
    now = holder[name] if change == "replace" else change
    return f"{name!r}: {str(before)[:40]} → {str(now)[:40]}"


def _places(tree: Any) -> Any:
    """Each (container, name) of a tree of JSON."""
    if isinstance(tree, dict | list):
        names = tree if isinstance(tree, dict) else range(len(tree))
        for name in names:
            yield tree, name
            yield from _places(tree[name])


def _forged_arrays(path: Path, random: Random) -> str:
    content = leaves(path)
    name = random.choice(list(content))
    value = content[name]
    change = random.choice(("replace", "replace", "replace", "delete", "rename", "add"))
    if change == "replace" and isinstance(value, np.ndarray):
        content[name] = _other_array(value, random)
    elif change == "replace":
        content[name] = random.choice(WRONG_VALUES)
    elif change == "add":
        content[random.choice(("x", name + "/0", "__class__", ""))] = random.choice(WRONG_VALUES)
    else:
        content["x" + name] = content.pop(name)
        if change == "delete":
            del content["x" + name]
    write_arrays(path, content)
    return f"{name!r}: {change} {str(content.get(name))[:40]!r}"


def _other_array(value: np.ndarray, random: Random) -> np.ndarray:
    flat = value.reshape(-1)
    changes = (
        lambda: value.astype(random.choice(WRONG_DTYPES)),
        lambda: flat,
        lambda: value[..., None],
        lambda: flat[: random.randrange(len(flat) + 1)],
        lambda: np.zeros_like(value),
        lambda: np.zeros(random.choice(((), (1,), (0, 3), (2, 2, 2))), value.dtype),
        lambda: np.full_like(value, random.choice((1, -1, 127, np.nan, np.inf, -np.inf, 1e30))),
        lambda: np.concatenate([flat, flat]),
        lambda: flat[::-1].reshape(value.shape),
    )
    with np.errstate(all="ignore"):
        try:
            return random.choice(changes)()
        except (OverflowError, ValueError):  # a whole number cannot be NaN
            return np.zeros_like(value)


def leaves(path: Path) -> dict[str, Any]:
    """The content of an array file by place, unchecked."""
    with safe_open(path, framework="numpy") as file:
        texts = file.metadata()
        arrays = {place: file.get_tensor(place) for place in file.keys()}  # noqa: SIM118
    own = ("checksum", "format")
    return arrays | {place: json.loads(text) for place, text in texts.items() if place not in own}
