"""The sentences of a data set as words, divided into parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from autoloss_gym.data.sentences.corpus import PARTS
from autoloss_gym.data.sentences.files import TaskFiles
from autoloss_gym.data.sentences.lines import at_line, read_lines
from autoloss_gym.data.sentences.tagged import read_tagged
from autoloss_gym.data.sentences.words import plain, tokenize
from autoloss_gym.tools.names import unknown

Sentences = list[list[str]]
# Of derived entities such as "deutsch" and of words with an entity in them.
_KINDS_OF_CLASSES = ("deriv", "part")


@dataclass(frozen=True)
class Part:
    """Sentences with their translations or tags.

    Args:
        label: the file, and which part of it.
        sources, targets: words, equally many lists.
        remarks: what was left out.
        tags: all of the file, and the line where each stands first; none for translations.
    """

    label: str
    sources: Sentences
    targets: Sentences
    remarks: tuple[str, ...] = ()
    tags: Mapping[str, int] = field(default_factory=dict)


def read_task(files: TaskFiles) -> tuple[Part, Part, Part]:
    """The three parts of a task; those that have no file are cut off the end of the training file.

    Each of these is a tenth of the file, and the test part comes last.

    Raises:
        ValueError: one line that names the file and the line that cannot be used.
    """
    is_tagged = len(files.parts["training"]) == 1
    given: dict[str, Part] = {}
    for name, paths in files.parts.items():
        given[name] = _read_tags(paths[0], files) if is_tagged else _read_pairs(paths)
    training = given["training"]
    for name, part in given.items():
        _check_tags(files.parts[name][0], part.tags, training.tags)
    missing = [name for name in PARTS if name not in given]
    if missing:
        given |= _cut(training, ["training", *missing])
    return given["training"], given["validation"], given["test"]


def _read_pairs(paths: tuple[Path, ...]) -> Part:
    """Two files whose lines translate each other."""
    sources = read_lines(paths[0])
    targets = read_lines(paths[1])
    if len(sources) != len(targets):
        short, longer = sorted(zip(map(len, (sources, targets)), paths, strict=True))
        raise at_line(
            longer[1],
            short[0] + 1,
            f"{str(short[1])!r} ends before this line; the two files have {short[0]:,} and "
            f"{longer[0]:,} lines, expected equally many",
        )
    label = f"{paths[0].name}, {paths[1].name}"
    part = Part(label, [], [])
    for source, target in zip(sources, targets, strict=True):
        if source.strip() and target.strip():
            part.sources.append(plain(tokenize(source)))
            part.targets.append(plain(tokenize(target)))
    return replace(part, remarks=_counted(len(sources) - len(part.sources), "empty pairs"))


def _read_tags(path: Path, files: TaskFiles) -> Part:
    """A file of tagged words."""
    found = read_tagged(path, files.columns)
    tags = found.tags
    lines = found.lines
    if files.merges_classes:
        tags = [[_main_class(tag) for tag in sentence] for sentence in tags]
        lines = {}
        for tag, line in found.lines.items():
            lines.setdefault(_main_class(tag), line)
    words = [plain(sentence) for sentence in found.words]
    remarks = (
        *_counted(found.num_empty, "empty lines"),
        *_counted(found.num_untagged, "words tagged _"),
    )
    return Part(path.name, words, tags, remarks, lines)


def _main_class(tag: str) -> str:
    for kind in _KINDS_OF_CLASSES:
        tag = tag.removesuffix(kind)
    return tag


def _check_tags(path: Path, lines: Mapping[str, int], known: Mapping[str, int]) -> None:
    for tag, line in lines.items():
        if tag not in known:
            message = unknown("tag", tag, known)
            raise at_line(path, line, f"the training part has no such tag: {message}")


def _counted(count: int, what: str) -> tuple[str, ...]:
    return (f"{count:,} {what}",) if count else ()


def _cut(whole: Part, names: list[str]) -> dict[str, Part]:
    """Parts of a file in its order: the first is the largest, the others have a tenth each."""
    num_sentences = len(whole.sources)
    num_held_out = max(1, num_sentences // 10)
    begin = num_sentences - num_held_out * (len(names) - 1)
    if begin < 1:
        raise ValueError(
            f"{whole.label} has {num_sentences} sentences, too few to cut {len(names)} parts off; "
            "give more of them"
        )
    parts = {}
    ends = [begin + num_held_out * index for index in range(len(names))]
    for name, start, end in zip(names, [0, *ends[:-1]], ends, strict=True):
        parts[name] = replace(
            whole,
            label=f"{whole.label} ({name})",
            sources=whole.sources[start:end],
            targets=whole.targets[start:end],
            remarks=whole.remarks if start == 0 else (),
        )
    return parts
