"""Policies in plain values, from which any process makes the same ones."""

import functools
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policies.open_loop import OpenLoop
from autoloss_gym.controllers.policy import Policy
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.tools.files import read_bytes, write_bytes

from ..environments import EnvironmentMaker
from ..evaluation.entrants import Entrant
from ..learners.checkpoints import WEIGHTS
from ..learners.groups.base_files import SCHEDULE
from ..policies.grammar import parse_specification
from ..policies.kinds import Specification
from ..policies.policy import Candidates, Setting
from ..policies.stored_paths import Trained
from ..policies.trained.trained_policy import TrainedPolicy

Recipe = dict[str, Any]  # plain values alone
OF_TRAINING = ("config.json", WEIGHTS, SCHEDULE)  # that a trained policy is read from
_MOST_BYTES = 1 << 32  # of a file


class Recipes:
    """What the policies of a benchmark are made of.

    Args:
        entrants: whose candidates are played.

    Attributes:
        contents: files that policies were stored in, by the digests by which recipes name them.
    """

    def __init__(self, entrants: Sequence[Entrant]) -> None:
        self._entrants = entrants
        self.contents: dict[str, bytes] = {}
        self._written_out: dict[int, Recipe] = {}  # by the identity of the policy

    def of(self, policy: Policy) -> Recipe:
        """The recipe of a candidate, or of a schedule that a search tries."""
        if type(policy) is LossSchedule:
            return {"schedule": asdict(policy)}
        if type(policy) is OpenLoop:
            return {"open_loop": asdict(policy)}
        for entrant in self._entrants:
            for index, candidate in enumerate(entrant.candidates):
                if candidate is policy:
                    assert entrant.specification
                    if id(policy) not in self._written_out:
                        written = self._written(entrant.specification, index, policy)
                        self._written_out[id(policy)] = written
                    return self._written_out[id(policy)]
        raise AssertionError(f"{policy!r} is no candidate")

    def _written(self, specification: Specification, index: int, policy: Policy) -> Recipe:
        """That of a policy as it was written; what it is stored in comes along."""
        paths = _paths(specification.value)
        if not paths:
            made = repr(policy)
            written = {"text": specification.text, "index": index}
            # One with an address in it is that of this process alone.
            return written if " at 0x" in made else {**written, "repr": made}
        path = paths[index]
        stored = f"stored{path.suffix}" if path.is_file() else "stored"
        files = {stored: path} if path.is_file() else _files_of_run(path)
        digests = {}
        for name, file in files.items():
            content = read_bytes(file, _MOST_BYTES)
            digests[name] = hashlib.sha256(content).hexdigest()
            self.contents[digests[name]] = content
        weights = digests.get(f"stored/{WEIGHTS}", "")
        if isinstance(policy, TrainedPolicy) and not weights.startswith(policy.digest):
            raise ValueError(
                f"{str(path)!r}: its weights have changed since they were read: wait for the end "
                "of its training, and begin anew"
            )
        return {"text": f"{specification.kind.name}:{stored}", "index": 0, "files": digests}


def _files_of_run(folder: Path) -> dict[str, Path]:
    """What a trained policy is read from, by the names that it will have elsewhere."""
    names = [name for name in OF_TRAINING if (folder / name).is_file()]
    return {f"stored/{name}": folder / name for name in names}


def files_of(recipes: Sequence[Recipe]) -> list[str]:
    """Digests of the files that some recipes name, each once."""
    names = [digest for recipe in recipes for digest in recipe.get("files", {}).values()]
    return list(dict.fromkeys(names))


def make(
    recipe: Recipe, maker: EnvironmentMaker, deterministic: bool, contents: Mapping[str, bytes]
) -> Policy:
    """The policy of a recipe; this process makes those of one word once.

    Args:
        recipe: of the policy.
        maker: of environments that it is to play in.
        deterministic: as in `Setting`.
        contents: the files that it names.

    Raises:
        ValueError: it cannot be made here, or is another one than where the recipe was written.
    """
    if "schedule" in recipe:
        return LossSchedule(**_with_tuples(recipe["schedule"]))
    if "open_loop" in recipe:
        return OpenLoop(**_with_tuples(recipe["open_loop"]))
    files = recipe.get("files", {})
    key = json.dumps([recipe["text"], files, maker.id, maker.arguments, deterministic])
    if key not in _made:
        if len(_made) >= _MOST_MADE:
            _made.clear()
        _made[key] = _candidates(recipe["text"], files, maker, deterministic, contents)
    policy = _made[key][recipe["index"]]
    if recipe.get("repr", repr(policy)) != repr(policy):
        raise ValueError(
            f"policy {recipe['text']!r} is {policy!r} here, expected {recipe['repr']}: the same "
            "version of everything must be installed on all machines"
        )
    return policy


_made: dict[str, Sequence[Policy]] = {}
_MOST_MADE = 64


def _candidates(
    text: str,
    files: Mapping[str, str],
    maker: EnvironmentMaker,
    deterministic: bool,
    contents: Mapping[str, bytes],
) -> Sequence[Policy]:
    """The policies that a text of the command line stands for, ready to play."""
    if files:
        name, _, stored = text.partition(":")
        text = f"{name}:{_unpacked(files, contents) / stored}"
    setting = Setting(maker(num_envs=1).task, maker.id, deterministic)
    built = parse_specification(text).build(setting)
    policies = built.policies if isinstance(built, Candidates) else [built]
    for policy in policies:
        if isinstance(policy, TrainedPolicy):
            policy.load(maker(num_envs=1, **policy.env_arguments))
    return policies


@functools.lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Where this process unpacks what was stored; it is removed with it."""
    return tempfile.TemporaryDirectory(prefix="autoloss_gym_")


def _unpacked(files: Mapping[str, str], contents: Mapping[str, bytes]) -> Path:
    """The folder that holds files, by their names and digests."""
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:32]
    folder = Path(_folder().name) / digest
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, contents[content])
    return folder


def _paths(value: Any) -> tuple[Path, ...]:
    """Where the policies of a specification are stored; none where they are written out."""
    if isinstance(value, Trained):
        return value.folders or ((value.zip_file,) if value.zip_file else ())
    if isinstance(value, tuple) and value and all(isinstance(each, Path) for each in value):
        return value
    return ()


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields whose lists were tuples, which JSON does not tell apart."""
    found = {}
    for name, value in fields.items():
        if name == "schedule":
            found[name] = Schedule(**_with_tuples(value))
        else:
            found[name] = _as_tuple(value)
    return found


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list | tuple) else value
