"""Tables as text and as Markdown."""

from collections.abc import Sequence


def as_text(lines: Sequence[Sequence[str]], under: Sequence[str]) -> str:
    """A table with aligned columns.

    Args:
        lines: the cells of the header, and of every row.
        under: lines that follow it.
    """
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = []
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        table.append("  ".join(cells).rstrip())
    table.insert(1, "─" * max(map(len, table)))
    return "\n".join([*table, *under])


def as_markdown(lines: Sequence[Sequence[str]], under: Sequence[str]) -> str:
    """The same as Markdown."""
    header, *rows = lines
    table = [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows)]
    return "\n".join([*table, "", *under])
