"""Damages and forges stored files at random, and counts what the commands make of them.

python -m tests.support.stored_files --cases 1000 --seed 0

Each case runs in a process of its own, forked from one that has loaded everything. It may be refused
in one line (status 2), or work and leave what an undamaged folder leaves. Everything else is listed.
A forgery is a file as the package itself writes it, but with one entry changed and its checksum made
anew: where the entry is a possible one, the result is that of the entry.
"""

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.support.stored_files.damages import DAMAGES, forged
from tests.support.stored_files.subjects import SUBJECTS, Subject

SECONDS = 10  # after which a case counts as hanging
MEMORY = 4 << 30  # bytes that a case may ask for
CRASHED = 70
# What is good, and what is not.
REFUSED, SAME = "one-line refusals", "worked as undamaged"
AS_FORGED = "forged: worked, with another result"
TRACEBACK, HANG, CODE, NONSENSE = "tracebacks", "hangs", "code run", "silent nonsense"


def fork(work: Callable[[], int], output: Path) -> tuple[int, str]:
    """Do some work in a process of its own: its exit status (negative: a signal), and its stderr."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        with output.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        status = CRASHED
        try:
            status = work()
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), output.read_text(errors="replace")


def case(subject: Subject, whole: Path, expected: bytes, random: Random) -> tuple[str, str]:
    """Damage a copy of a subject's folder and run it: the outcome, and what was done."""
    with tempfile.TemporaryDirectory() as name:
        folder, canary, output = (Path(name) / each for each in ("folder", "canary", "output"))
        shutil.copytree(whole, folder)
        files = sorted(folder.glob(random.choice(subject.files)))
        path = random.choice(files)
        is_forged = random.random() < 0.4
        damage = forged if is_forged else random.choice(DAMAGES)
        done = damage(path, random, canary)
        what = f"{subject.name}: {path.name[:30]} {damage.__name__} {done or ''}"
        status, text = fork(lambda: subject.run(folder), output)
        return _outcome(subject, folder, expected, is_forged, canary, status, text), what


def _outcome(
    subject: Subject,
    folder: Path,
    expected: bytes,
    is_forged: bool,
    canary: Path,
    status: int,
    text: str,
) -> str:
    if canary.exists():
        return CODE
    if status == -signal.SIGALRM:
        return HANG
    if status == 2 and "Traceback" not in text and "error: " in text.splitlines()[-1]:
        return REFUSED
    if status != 0 or "Traceback" in text:
        return f"{TRACEBACK}: {text.strip().splitlines()[-1] if text.strip() else status}"
    if subject.result(folder) == expected:
        return SAME
    return AS_FORGED if is_forged else NONSENSE


def run(cases: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Figures of all cases, and a line for each that is neither refused nor works."""
    figures: Counter[str] = Counter()
    listed = []
    with tempfile.TemporaryDirectory() as name:
        made = []
        for subject in SUBJECTS:
            folder = Path(name) / subject.name.replace(" ", "_")
            whole, undamaged = folder / "whole", folder / "undamaged"
            whole.mkdir(parents=True)
            fork(lambda subject=subject, whole=whole: subject.make(whole) or 0, folder / "output")
            shutil.copytree(whole, undamaged)
            status, text = fork(
                lambda subject=subject, undamaged=undamaged: subject.run(undamaged),
                folder / "output",
            )
            assert status == 0, text
            made.append((subject, whole, subject.result(undamaged)))
        for index in range(cases):
            random = Random(f"{seed} {index}")
            subject, whole, expected = made[index % len(made)]
            outcome, what = case(subject, whole, expected, random)
            kind = outcome.partition(":")[0] if outcome.startswith(TRACEBACK) else outcome
            figures[kind] += 1
            if outcome not in (REFUSED, SAME):
                listed.append(f"case {index}: {outcome}; {what}")
    return figures, listed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    figures, listed = run(arguments.cases, arguments.seed)
    for line in listed:
        print(line)
    print(f"tried: {arguments.cases}")
    for name in (REFUSED, SAME, AS_FORGED, TRACEBACK, HANG, CODE, NONSENSE):
        print(f"{name}: {figures[name]}")
    return int(any(figures[name] for name in (TRACEBACK, HANG, CODE, NONSENSE)))


if __name__ == "__main__":
    sys.exit(main())
