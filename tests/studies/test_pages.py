"""`studies/pages.py`."""

import pytest

from studies.pages import Page

PAGE = Page("python -m study", "# A study\n", {"digits": "## Digits", "faces": "## Faces"})


def test_a_page_keeps_its_text_and_takes_the_part_of_each_preset(tmp_path):
    page = tmp_path / "page.md"
    PAGE.write(page, "digits", "first table")
    PAGE.write(page, "faces", "of text")
    edited = page.read_text().replace("# A study", "# My own text")
    page.write_text(edited)
    PAGE.write(page, "digits", "second table")
    assert page.read_text() == edited.replace("first table", "second table")
    begin, end = PAGE.marks("digits")
    page.write_text(page.read_text().replace(end, ""))
    with pytest.raises(ValueError, match="expected both"):
        PAGE.write(page, "digits", "third")
    assert begin in page.read_text()


def test_a_new_page_has_its_introduction_and_the_heading_of_the_part(tmp_path):
    PAGE.write(tmp_path / "page.md", "faces", "a table")
    begin, end = PAGE.marks("faces")
    assert (tmp_path / "page.md").read_text() == (
        f"# A study\n\n## Faces\n\n{begin}\n\na table\n\n{end}\n"
    )
