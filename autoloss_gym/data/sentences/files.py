"""Which files a data set of sentences consists of: one with a name, or a user's own."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoloss_gym.data.files import data_path
from autoloss_gym.data.named_images import DATA_VARIABLE
from autoloss_gym.data.sentences.corpus import PARTS
from autoloss_gym.data.sentences.encoding import TASKS
from autoloss_gym.data.sentences.lines import check_text_file
from autoloss_gym.data.sentences.tagged import Columns
from autoloss_gym.tools.files import read_bytes
from autoloss_gym.tools.names import shown, unknown

MULTI30K = "multi30k"
_MOST_BYTES = 1 << 16  # of a file that names others
_COLUMNS = "columns"
_SUFFIXES = (".yml", ".yaml", ".json")
_LIST = f"a file ({', '.join(_SUFFIXES)}) that names text files"


@dataclass(frozen=True)
class TaskFiles:
    """The files of one task.

    Args:
        parts: by name, some of `PARTS` and always "training": the files with the source and the
            target, or the one with tagged words.
        columns: of words and tags, where they are not the usual ones.
        merges_classes: whether derived and partial entities count as entities, as in B-LOCderiv.
    """

    parts: Mapping[str, tuple[Path, ...]]
    columns: Columns | None = None
    merges_classes: bool = False


def find_files(dataset: str, data_dir: str | None) -> tuple[TaskFiles, ...]:
    """The files of a data set, for each of `TASKS`.

    Args:
        dataset: "multi30k", or the path of a YAML or JSON file that names a user's files.
        data_dir: the folder with the files of "multi30k", if it is known.

    Raises:
        ValueError: one line: a file is missing, or the names cannot be used.
    """
    found = _multi30k(data_dir) if dataset == MULTI30K else _listed(dataset)
    for path in paths_of(found):
        check_text_file(path)
    return found


def paths_of(files: tuple[TaskFiles, ...]) -> list[Path]:
    """All files, in a fixed order."""
    return [path for task in files for part in PARTS for path in task.parts.get(part, ())]


def _multi30k(data_dir: str | None) -> tuple[TaskFiles, ...]:
    """Multi30K (Elliott et al. 2016), GermEval 2014 and UD German GSD.

    Of GermEval the larger of two files, that of its test, is trained on.
    """
    if data_dir is None:
        raise ValueError(
            f"dataset={MULTI30K!r}: no data folder is given; set data_dir, or the environment "
            f"variable {DATA_VARIABLE}, to a folder with multi30k/, germeval14/ and ud_german_gsd/"
        )
    folder = Path(data_dir).expanduser()
    pairs = {"training": "train", "validation": "val", "test": "test_2016_flickr"}
    universal = {"training": "train", "validation": "dev", "test": "test"}
    translation = {}
    for part, name in pairs.items():
        names = (f"multi30k/{name}.{language}" for language in ("de", "en"))
        translation[part] = tuple(_packed(folder / each) for each in names)
    entities = {
        "training": (_packed(folder / "germeval14" / "NER-de-test.tsv"),),
        "validation": (_packed(folder / "germeval14" / "NER-de-dev.tsv"),),
    }
    parts_of_speech = {
        part: (_packed(folder / "ud_german_gsd" / f"upos_{name}.pos"),)
        for part, name in universal.items()
    }
    return (
        TaskFiles(translation),
        TaskFiles(entities, columns=(2, 3), merges_classes=True),
        TaskFiles(parts_of_speech),
    )


def _packed(path: Path) -> Path:
    """The file itself, or packed with gzip where only that is there."""
    packed = path.with_name(f"{path.name}.gz")
    if not path.parent.is_dir():
        raise ValueError(f"{str(path.parent)!r}: there is no such folder; expected {packed.name}")
    return path if path.exists() else packed


def _listed(dataset: str) -> tuple[TaskFiles, ...]:
    """The files that a YAML or JSON file names, relative to its folder."""
    path = data_path(dataset)
    if os.sep not in dataset and not path.exists() and path.suffix not in _SUFFIXES:
        raise ValueError(f"{unknown('dataset', dataset, (MULTI30K,))}, or the path of {_LIST}")
    check_text_file(path, _LIST)
    content = _content(path)
    for task in content:
        if task not in TASKS:
            raise ValueError(f"{str(path)!r}: {unknown('task', task, TASKS)}")
    for task in TASKS:
        if task not in content:
            raise ValueError(f"{str(path)!r} names no files for {task!r}; {_expected(task)}")
    return tuple(_task_files(path, task, content[task]) for task in TASKS)


def _content(path: Path) -> dict[Any, Any]:
    import yaml  # noqa: PLC0415 (only for a user's own files)

    try:
        text = read_bytes(path, _MOST_BYTES).decode()
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{str(path)!r} cannot be read as YAML or JSON: {reason}") from None
    if not isinstance(content, dict):
        raise ValueError(
            f"{str(path)!r} holds {type(content).__name__}; expected files for {', '.join(TASKS)}"
        )
    return content


def _task_files(path: Path, task: str, given: Any) -> TaskFiles:
    """The files of a task: of all its parts, or those that are divided into parts."""
    if not isinstance(given, dict):
        return TaskFiles({"training": _paths(path, task, given)})
    known = PARTS if task == TASKS[0] else (*PARTS, _COLUMNS)
    for name in given:
        if name not in known:
            raise ValueError(f"{str(path)!r}, {task}: {unknown('entry', name, known)}")
    if PARTS[0] not in given:
        raise ValueError(f"{str(path)!r}, {task}: no {PARTS[0]!r} is given; {_expected(task)}")
    parts = {part: _paths(path, task, given[part]) for part in PARTS if part in given}
    return TaskFiles(parts, _columns(path, task, given.get(_COLUMNS)))


def _paths(path: Path, task: str, given: Any) -> tuple[Path, ...]:
    names = [given] if isinstance(given, str) else given
    num_files = 2 if task == TASKS[0] else 1
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or len(names) != num_files:
        got = shown(names) if is_list else f"a value of type {type(given).__name__}"
        raise ValueError(f"{str(path)!r}, {task}: got {got}; {_expected(task)}")
    return tuple(path.parent / data_path(name) for name in names)


def _columns(path: Path, task: str, given: Any) -> Columns | None:
    if given is None:
        return None
    is_list = isinstance(given, list) and all(type(each) is int and each > 0 for each in given)
    if not is_list or len(given) != 2:
        raise ValueError(
            f"{str(path)!r}, {task}: columns: expected two column numbers from 1 on, of the words "
            "and of the tags, such as [2, 3]"
        )
    return given[0], given[1]


def _expected(task: str) -> str:
    files = "[train.de, train.en]" if task == TASKS[0] else "tagged.conllu"
    return f"expected such as {task}: {files}, or training, validation and test with such files"
