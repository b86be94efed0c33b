"""A tenth of what `python -m tests.support.stored_files` tries."""

import sys

import pytest

from tests.support.prepared import run_python


@pytest.mark.skipif(
    sys.platform != "linux", reason="it forks, and limits the memory of its children"
)
def test_damaged_and_forged_files_are_one_line_or_made_anew():
    """In a process of its own, because one that has threads cannot be forked."""
    result = run_python("-m", "tests.support.stored_files", "--cases", 100, "--seed", 7)
    assert result.returncode == 0, result.stdout + result.stderr
    for outcome in ("tracebacks", "hangs", "code run", "silent nonsense"):
        assert f"{outcome}: 0" in result.stdout
    assert "tried: 100" in result.stdout
