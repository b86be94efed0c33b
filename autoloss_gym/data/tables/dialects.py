"""The character between the columns of a text table, found by one rule.

It must divide every line of the beginning into the same number of fields. Where two characters do,
it is the one that leaves nothing but numbers under the header; where that does not tell them apart
either, the table is refused.
"""

import csv
import re
from collections.abc import Sequence

from autoloss_gym.data.tables.cells import is_value

SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}
SAMPLE = 50  # lines
_DECLARED = re.compile(r'"?sep=(.)"?\s*', re.DOTALL)


def declared_separator(line: str) -> str | None:
    """The separator that Excel's first line `sep=;` declares; None if this is no such line."""
    found = _DECLARED.fullmatch(line)
    return found[1] if found else None


def separator_of(lines: Sequence[str], is_whole: bool) -> str:
    """The separator of a table that begins with these lines.

    Args:
        lines: at most `SAMPLE` of them, the header first.
        is_whole: whether the table ends with them; else a quoted field may go on.

    Raises:
        ValueError: there are two that are equally likely, or only blanks.
    """
    divided = {}
    for separator in SEPARATORS:
        found = _records(lines, separator)
        divided[separator] = found if is_whole or len(found) < 3 else found[:-1]
    even = [each for each, found in divided.items() if _width(found) > 1]
    numeric = [each for each in even if _is_numeric(divided[each])]
    if len(even) == 1:
        return even[0]
    if len(numeric) == 1:
        return numeric[0]
    if even:
        names = " and ".join(SEPARATORS[each] for each in even)
        raise ValueError(
            f"{names} divide its lines equally well; add a first line such as sep={even[-1]} "
            "to say which it is"
        )
    _refuse_blanks(lines)
    # The record to blame is found when the table is read: here the header counts most.
    return max(divided, key=lambda each: _widths(divided[each]))


def _records(lines: Sequence[str], separator: str) -> list[list[str]]:
    """The lines' fields, without empty lines; none where a field is longer than CSV knows."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        return [record for record in reader if record]
    except csv.Error:
        return []


def _width(found: list[list[str]]) -> int:
    """Fields of each record; 0 where they differ."""
    widths = {len(record) for record in found}
    return widths.pop() if len(widths) == 1 else 0


def _widths(found: list[list[str]]) -> tuple[int, int]:
    """Fields of the first record, and most of all."""
    widths = [len(record) for record in found] or [0]
    return widths[0], max(widths)


def _is_numeric(found: list[list[str]]) -> bool:
    """Whether all fields under the header can be numbers."""
    return all(is_value(cell) for record in found[1:] for cell in record)


def _refuse_blanks(lines: Sequence[str]) -> None:
    widths = {len(line.split()) for line in lines}
    if len(widths) == 1 and widths.pop() > 1 and not any("," in line for line in lines):
        raise ValueError("its columns are divided by blanks; put ',', ';' or tabs between them")
