"""Room to breathe: what CONTRIBUTING says of lines, functions and files."""

import pytest

from tests.support.paths import ROOT
from tests.support.style import COLUMNS, FILE_LINES, FOLDERS, FUNCTION_LINES, functions

SOURCES = {
    str(path.relative_to(ROOT)): path.read_text()
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
}
# A task whose docstring takes up two fifths of its file.
LONGER = {"autoloss_gym/tasks/images/image_gan.py": 275}
each_file = pytest.mark.parametrize("name", SOURCES)


@each_file
def test_lines_have_at_most_100_columns(name):
    wide = [line for line in SOURCES[name].splitlines() if len(line) > COLUMNS]
    assert wide == []


@each_file
def test_files_have_at_most_260_lines(name):
    assert SOURCES[name].count("\n") <= LONGER.get(name, FILE_LINES)


@each_file
def test_functions_have_at_most_40_lines_beside_their_docstring(name):
    assert [each for each in functions(SOURCES[name]) if each.lines > FUNCTION_LINES] == []
