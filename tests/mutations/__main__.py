"""Breaks each rule of training on purpose, in a copy of the packages, and sees that tests notice.

    python -m tests.mutations [WORDS]

The tests beside a mutation must fail with it, and pass without. With words, only the rules whose
text has one of them are broken.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutations.mutations import MUTATIONS, broken
from tests.support.paths import ROOT

COPIED = ("autoloss_gym", "agents", "studies", "benchmarks", "examples", "tests", "pyproject.toml")


def outcome(copy: Path, tests: str) -> int:
    """Exit status of these tests on the packages in `copy`: 0 if all pass, 1 if one fails."""
    options = ["-q", "-x", "-p", "no:cacheprovider"]
    paths = [f"tests/{name}" for name in tests.split()]
    command = [sys.executable, "-m", "pytest", *options, *paths]
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    ended = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False)
    return ended.returncode


def main() -> int:
    words = sys.argv[1:] or [""]
    chosen = [each for each in MUTATIONS if any(word in each.rule for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        names = sorted({name for each in chosen for name in each.tests.split()})
        if outcome(copy, " ".join(names)) != 0:
            print("the tests fail on the unbroken packages")
            return 1
        missed = 0
        for each in chosen:
            path = copy / each.file
            text = path.read_text()
            path.write_text(broken(text, each.replacements))
            # Any other status is an error of the run, such as a module that cannot be imported.
            noticed = outcome(copy, each.tests) == 1
            missed += not noticed
            print(f"{'noticed' if noticed else 'MISSED '}  rule {each.rule}", flush=True)
            path.write_text(text)
    print(f"{len(chosen) - missed} of {len(chosen)} broken rules were noticed")
    return missed


if __name__ == "__main__":
    sys.exit(main())
