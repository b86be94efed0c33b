"""Pages of docs/results/ of which a command writes parts, between two marks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoloss_gym.tools.files import write_text


@dataclass(frozen=True)
class Page:
    """A page with a part for each preset.

    Args:
        command: that writes the parts, without the name of one.
        introduction: Markdown above them, where the page is new.
        headings: of the parts, by preset.
        option: before the name of a part in the command; "" where the name stands alone.
    """

    command: str
    introduction: str
    headings: Mapping[str, str]
    option: str = "--preset "

    def write(self, path: Path, preset: str, part: str) -> None:
        """Put what was found with a preset on the page, in place of what stood there.

        Args:
            path: of the page, which is made where there is none.
            preset: whose part it is.
            part: Markdown.

        Raises:
            ValueError: a mark of the part is missing while the other is there.
        """
        text = path.read_text(encoding="utf-8") if path.exists() else self.introduction
        begin, end = self.marks(preset)
        if (begin in text) != (end in text):
            expected = f"has one of {begin!r} and {end!r}: expected both; add it"
            raise ValueError(f"{str(path)!r} {expected}")
        if begin not in text:
            text = f"{text}\n{self.headings[preset]}\n\n{begin}\n{end}\n"
        before, _, rest = text.partition(begin)
        after = rest.partition(end)[2]
        write_text(path, f"{before}{begin}\n\n{part}\n\n{end}{after}")

    def marks(self, preset: str) -> tuple[str, str]:
        """The lines before and after the part of a preset."""
        command = f"{self.command} {self.option}{preset}"
        return f"<!-- from here on written by {command} -->", f"<!-- end of {preset} -->"
