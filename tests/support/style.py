"""Measures of the code's form, which DESIGN and CONTRIBUTING limit.

python -m tests.support.style [FOLDER]        # a table of this checkout, or of another
"""

import ast
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.paths import ROOT

FOLDERS = ("autoloss_gym", "agents", "studies", "benchmarks")
COLUMNS, FILE_LINES, FUNCTION_LINES = 100, 260, 40


@dataclass(frozen=True)
class Function:
    """A function's name, and its lines from the first statement after the docstring to its end."""

    name: str
    lines: int


def functions(source: str) -> list[Function]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            if is_docstring and len(node.body) > 1:
                first = node.body[1]
            found.append(Function(node.name, node.end_lineno - first.lineno + 1))
    return found


def multiple_targets(source: str) -> tuple[int, int]:
    """Assignments to several names at once, and all assignments."""
    several = total = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign):
            total += 1
            targets = node.targets
            several += len(targets) > 1 or isinstance(targets[0], ast.Tuple | ast.List)
        total += isinstance(node, ast.AnnAssign)
    return several, total


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    command = ["git", "-C", str(root), "ls-files", "*.py"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    paths = [root / name for name in names if name.split("/")[0] in FOLDERS]
    sources = {str(path.relative_to(root)): path.read_text() for path in paths}

    per_folder = Counter(str(Path(name).parent) for name in sources if "__init__" not in name)
    lines = {name: source.count("\n") for name, source in sources.items()}
    lengths = [each for source in sources.values() for each in functions(source)]
    sizes = np.array([each.lines for each in lengths])
    everything = [line for source in sources.values() for line in source.splitlines()]
    total = len(everything)
    wide = sum(len(line) > COLUMNS for line in everything)
    conditional = sum(
        isinstance(node, ast.IfExp)
        for text in sources.values()
        for node in ast.walk(ast.parse(text))
    )
    targets = np.array([multiple_targets(source) for source in sources.values()]).sum(axis=0)
    comments = [line.split("# ", 1)[1] for line in everything if line.lstrip().startswith("# ")]
    largest, longest = max(lines, key=lines.__getitem__), max(lengths, key=lambda each: each.lines)

    print("files per folder:", ", ".join(f"{k} {v}" for k, v in per_folder.most_common(8)))
    print(f"largest file: {largest}, {lines[largest]} lines")
    print(f"files over {FILE_LINES} lines: {sum(n > FILE_LINES for n in lines.values())}")
    print(f"longest function: {longest.name}, {longest.lines} lines")
    print(f"functions over {FUNCTION_LINES} lines: {int((sizes > FUNCTION_LINES).sum())}")
    print(
        f"function length: median {np.median(sizes):.0f}, 90th percentile {np.quantile(sizes, 0.9):.0f}"
    )
    print(f"lines over {COLUMNS} columns: {wide} of {total}, {wide / total:.1%}")
    print(f"conditional expressions per 1,000 lines: {1000 * conditional / total:.1f}")
    print(f"assignments with several targets: {targets[0] / targets[1]:.1%} "
          f"({1000 * targets[0] / total:.1f} per 1,000 lines)")  # fmt: skip
    print(f"comment lines: {len(comments)}, {1000 * len(comments) / total:.1f} per 1,000 lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
