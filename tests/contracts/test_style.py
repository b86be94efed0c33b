"""Room to breathe: what CONTRIBUTING says of lines, functions and files."""

from collections.abc import Callable
from typing import Any

from tests.support.paths import ROOT
from tests.support.style import COLUMNS, FILE_LINES, FOLDERS, FUNCTION_LINES, functions

SOURCES = {
    str(path.relative_to(ROOT)): path.read_text()
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)  # of `make peers`
}
# A task whose docstring takes up two fifths of its file.
LONGER = {"autoloss_gym/tasks/images/image_gan.py": 275}


def files_with(found: Callable[[str], list[Any]]) -> dict[str, list[Any]]:
    """Files in whose text something is found, and what."""
    every = {name: found(text) for name, text in SOURCES.items()}
    return {name: each for name, each in every.items() if each}


def test_lines_have_at_most_100_columns():
    assert files_with(lambda text: [x for x in text.splitlines() if len(x) > COLUMNS]) == {}


def test_files_have_at_most_260_lines():
    lines = {name: text.count("\n") for name, text in SOURCES.items()}
    assert {name: n for name, n in lines.items() if n > LONGER.get(name, FILE_LINES)} == {}


def test_functions_have_at_most_40_lines_beside_their_docstring():
    assert files_with(lambda text: [x for x in functions(text) if x.lines > FUNCTION_LINES]) == {}
