"""Copies of the packages that a test may change, as a reader of a guide would."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.prepared import run_python

_COPIED = ("autoloss_gym", "agents", "evaluate.py", "train_agent.py")


def copy_packages(folder: Path) -> Path:
    """The packages and both commands in a folder of their own, without compiled files."""
    for name in _COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def code_blocks(guide: Path, language: str) -> list[str]:
    """The code blocks of a Markdown file that are marked with this language."""
    return re.findall(rf"```{language}\n(.+?)```", guide.read_text(), re.DOTALL)


def apply_diff(diff: str, folder: Path) -> None:
    """Apply a unified diff to a copy; one line of context on each side must fit."""
    command = ["git", "apply", "-C1", "--recount", "-"]
    alone = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}  # of no repository around
    applied = subprocess.run(
        command, cwd=folder, env=alone, input=diff, capture_output=True, text=True, check=False
    )
    assert applied.returncode == 0, applied.stderr


def run_in_copy(folder: Path, *arguments: str) -> str:
    """The output of Python in a copy, which it imports instead of the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    ended = run_python("-W", "error", *arguments, cwd=folder, env=environment)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
