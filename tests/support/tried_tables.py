"""Tables in the forms in which users have them; each is read, or refused in one true line.

python -m tests.support.tried_tables          # makes them in a temporary folder and prints a table
"""

import gzip
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoloss_gym.data.tables import Table, load_table

ROWS = 40
NAMES = ("rooms", "area", "price")
ROOMS = np.arange(ROWS) % 6 + 1
AREA = np.arange(ROWS) * 3.25 + 20.5
PRICE = ROOMS * 12.5 + AREA * 2 + np.arange(ROWS) % 7
VALUES = np.stack([ROOMS, AREA, PRICE], axis=1)


def text(
    separator: str = ",",
    point: str = ".",
    header: str | None = None,
    end: str = "\n",
    before: Callable[[int], str] = lambda row: "",
    after: Callable[[int], str] = lambda row: "",
    value: Callable[[float], str] = lambda value: f"{value:g}",
) -> str:
    """The table as text, with what stands `before` and `after` the numbers of each row."""
    lines = [separator.join(NAMES) if header is None else header]
    for row, values in enumerate(VALUES):
        cells = separator.join(value(each).replace(".", point) for each in values)
        lines.append(before(row) + cells + after(row))
    return end.join(lines) + end


@dataclass(frozen=True)
class Form:
    """A form of table.

    Args:
        what: in words.
        file: its name.
        content: its bytes or its text, in UTF-8.
        outcome: "" where the numbers are read as they are meant; else a pattern of the line.
        remark: a pattern of what is said of a table that is read.
    """

    what: str
    file: str
    content: str | bytes
    outcome: str = ""
    remark: str = ""


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


FORMS = (
    Form("plain CSV", "houses.csv", text()),
    Form("suffix in capitals", "HOUSES.CSV", text()),
    Form("line ends of Windows", "windows.csv", text(end="\r\n")),
    Form("line ends of old Macs", "mac.csv", text(end="\r")),
    Form("CSV packed with gzip", "houses.csv.gz", gzip.compress(text().encode())),
    Form("packed, but the name does not say so", "houses.csv", gzip.compress(text().encode())),
    Form("tabs (TSV)", "houses.tsv", text("\t"), remark="Read with tabs between columns"),
    Form("tabs, in a .txt", "houses.txt", text("\t"), remark="tabs"),
    Form(
        "semicolons and decimal commas, as Excel writes in Europe",
        "europe.csv",
        text(";", ","),
        remark="';' between columns.*',' as decimal mark",
    ),
    Form("semicolons and decimal points", "points.csv", text(";"), remark="';' between columns"),
    Form("tabs and decimal commas", "europe.tsv", text("\t", ","), remark="',' as decimal mark"),
    Form("vertical bars", "bars.csv", text("|"), remark="'|' between columns"),
    Form(
        "first line `sep=;` (Excel)",
        "declared.csv",
        "sep=;\n" + text(";", ","),
        remark="',' as decimal mark",
    ),
    Form("UTF-8 with byte order mark", "marked.csv", b"\xef\xbb\xbf" + text().encode()),
    Form(
        "Excel's Unicode text (UTF-16, tabs)",
        "unicode.txt",
        text("\t").encode("utf-16"),
        remark="tabs",
    ),
    Form(
        "Windows-1252: ä in a name",
        "latin.csv",
        text(header="zimmer,fläche,preis").encode("cp1252"),
        remark="Windows-1252",
    ),
    Form(
        "blanks after commas",
        "blanks.csv",
        text(", ", header="rooms, area, price"),
    ),
    Form("every field quoted (R)", "quoted.csv", text(value=lambda value: f'"{value:g}"')),
    Form(
        "row numbers without a name (pandas)",
        "index.csv",
        text(header=",rooms,area,price", before=lambda row: f"{row},"),
        remark="first column, which has no name",
    ),
    Form(
        "the same, saved twice (Unnamed: 0)",
        "unnamed.csv",
        text(header="Unnamed: 0,rooms,area,price", before=lambda row: f"{row},"),
        remark="first column, which has no name",
    ),
    Form(
        "names of rows (R)",
        "rows.csv",
        text(header='"",rooms,area,price', before=lambda row: f'"house {row}",'),
        remark="first column, which has no name",
    ),
    Form(
        "a separator at the end of each line",
        "trailing.csv",
        text(header="rooms,area,price,", after=lambda row: ","),
    ),
    Form(
        "empty lines at the end (Excel)", "rest.csv", text() + ",,\n,,\n\n", remark="2 empty rows"
    ),
    Form("exponents", "exponents.csv", text(value=lambda value: f"{value:.6e}")),
    Form("NPZ of inputs and targets", "houses.npz", npz(inputs=VALUES[:, :2], targets=PRICE)),
    Form(
        "text in a column",
        "cities.csv",
        text(header="city,rooms,area,price", before=lambda row: "Ulm,"),
        "1 of 4 columns is not numeric: 'city' .'Ulm' in record 2.; encode",
    ),
    Form(
        "dates",
        "dates.csv",
        text(header="day,rooms,area,price", before=lambda row: f"2024-05-{row % 28 + 1:02},"),
        "'day' .'2024-05-01' in record 2.",
    ),
    Form(
        "empty fields",
        "gaps.csv",
        text(after=lambda row: ",,5" if row % 4 else ",1,5", header="a,b,c,gap,y"),
        "missing values: 30 in 1 of 5 columns and 30 of 40 rows: 'gap' .30, first in record 3.",
    ),
    Form(
        "NA, NaN, null, ?, -",
        "words.csv",
        text(header="a,b,c,d", after=lambda row: "," + ["NA", "NaN", "null", "?", "-"][row % 5]),
        "missing values: 40 in 1 of 4 columns.*'d'",
    ),
    Form(
        "infinity",
        "infinite.csv",
        text(header="a,b,c,d", after=lambda row: ",inf" if row == 3 else ",1"),
        "infinite values: 1 in 1 of 4 columns.*record 5",
    ),
    Form(
        "true and false",
        "truths.csv",
        text(header="sold,rooms,area,price", before=lambda row: f"{bool(row % 3)},"),
        remark="Read true as 1 and false as 0 in: 'sold'",
    ),
    Form(
        "yes and no",
        "answers.csv",
        text(header="sold,rooms,area,price", before=lambda row: "yes," if row % 3 else "no,"),
        "'sold' .'no' in record 2.",
    ),
    Form(
        "thousands between commas, quoted",
        "thousands.csv",
        text(header="tax,rooms,area,price", before=lambda row: f'"{1234 + row:,}",'),
        "a mark between thousands.*'tax' .'1,234' in record 2.; write them as 1234.5",
    ),
    Form(
        "thousands with points, decimal commas",
        "european_thousands.csv",
        text(";", ",", "tax;rooms;area;price", before=lambda row: "1.234,50;"),
        "a mark between thousands.*'tax'",
    ),
    Form(
        "both decimal marks",
        "both.csv",
        text(";", ",", "tax;rooms;area;price", before=lambda row: "1.5;"),
        "decimal mark is '.' in record 2 .'1.5'. and ',' in record 2",
    ),
    Form(
        "decimal commas between commas",
        "commas.csv",
        text(",", ","),
        "record [23] has [45] fields, the header has 3",
    ),
    Form(
        "digits grouped with _",
        "grouped.csv",
        text(header="2020_01,b,y", value=lambda value: f"{value:g}") + "2020_01,1,2\n",
        "'2020_01' .'2020_01' in record 42.",
    ),
    Form(
        "digits of another script",
        "script.csv",
        text(header="a,b,c,d", after=lambda row: ",١٢"),
        "'d' .'١٢' in record 2.",
    ),
    Form(
        "two columns of one name, but for blanks",
        "twice.csv",
        text(header="a, a,price"),
        "several columns are called 'a'",
    ),
    Form(
        "a column without a name amid others",
        "hole.csv",
        text(header="rooms,,price"),
        "column 2 has no name",
    ),
    Form("no header", "headless.csv", text().partition("\n")[2], "first line holds numbers"),
    Form(
        "a title above the header",
        "title.csv",
        "Houses of 2024\n" + text(),
        "record 2 has 3 fields, the header has 1",
    ),
    Form(
        "a line cut short",
        "short.csv",
        text() + "1,2\n",
        "record 42 has 2 fields, the header has 3",
    ),
    Form("a quote without end", "quote.csv", text() + '1,"2,3\n', "line 42: unexpected end"),
    Form("columns divided by blanks", "blanks.txt", text(" "), "divided by blanks"),
    Form("a workbook", "houses.xlsx", b"PK\x03\x04", "save the sheet as CSV"),
    Form("a workbook called CSV", "houses.csv", b"PK\x03\x04" + bytes(100), "workbook"),
    Form("UTF-16 without its mark", "unmarked.csv", text().encode("utf-16-le"), "not in UTF-8"),
    Form("JSON", "houses.json", "[]", "a path ending in .csv, .tsv or .txt"),
    Form("an empty file", "empty.csv", "", "0 rows"),
)


def write(form: Form, folder: Path) -> Path:
    """The file of a form."""
    path = folder / form.file
    is_text = isinstance(form.content, str)
    path.write_bytes(form.content.encode() if is_text else form.content)
    return path


def outcome(path: Path) -> tuple[Table | None, str]:
    """What comes of reading a table: the table, and what is said of it."""
    try:
        table = load_table(str(path))
    except ValueError as error:
        return None, str(error).replace(str(path), path.name)
    said = " ".join(table.remarks)
    rows, features = table.inputs.shape
    return table, f"read: {rows} rows, {features} features. {said}".strip()


def report() -> str:
    """A table in Markdown of all forms and what comes of each."""
    lines = ["| table | outcome |", "| --- | --- |"]
    for form in FORMS:
        with tempfile.TemporaryDirectory() as folder:
            _, line = outcome(write(form, Path(folder)))
        lines.append(f"| {form.what} | {line.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())
