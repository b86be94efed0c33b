"""One of the commands, which ends with the study that started it.

    python -m studies.tables.child train_agent.py ...

The study holds the other end of its standard input, which closes when the study is gone.
"""

import os
import runpy
import signal
import sys
import threading

from studies import ROOT


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_path(str(ROOT / sys.argv[0]), run_name="__main__")
