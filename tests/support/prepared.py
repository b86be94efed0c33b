"""Python with the slow libraries in memory: a program begins in a fork, not by importing PyTorch.

Most of what a command costs in a test is the import of libraries that other tests import as well:
seconds, where its own work takes a tenth. A server imports these once; each program is a fork of
it, which imports the code of this checkout anew. What such a program loads, and whether it is the
same in another process, is seen in fresh ones alone: all forks share the seed of Python's hashes.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import traceback
import types
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

LIBRARIES = (
    "torch", "torch._dynamo", "torch.utils.tensorboard", "gymnasium", "jaxtyping", "matplotlib.figure",
    "matplotlib.backends.backend_agg", "rich.progress", "safetensors.torch", "scipy.optimize",
    "scipy.stats", "sklearn.datasets", "stable_baselines3", "yaml", "cmaes",
)  # fmt: skip
_NUM_FILTERS = len(warnings.filters)  # of warnings, of Python's own


def run_python(
    *arguments: object, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run([sys.executable, *arguments], ...)` gives, with its two outputs as text.

    Args:
        arguments: of Python: options `-W`, then `-c` with a program, `-m` with a module, or the path
            of a script, and the program's own.
        cwd: the working folder.
        env: the environment, by default that of this process.
    """
    words = [os.fspath(each) if isinstance(each, Path) else str(each) for each in arguments]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("output", "errors")]
        request = {
            "arguments": words,
            "cwd": str(cwd),
            "environment": dict(os.environ if env is None else env),
            "files": [str(each) for each in files],
        }
        status = _server()(request)
        output, errors = (each.read_text() for each in files)
    return subprocess.CompletedProcess([sys.executable, *words], status, output, errors)


@functools.cache
def _server() -> Any:
    """A function that has the server of this process run a program, and returns its status."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.prepared"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate)  # closes its input, and waits for its end

    def ask(request: dict[str, Any]) -> int:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    return ask


def serve() -> dict[str, Any]:
    """Answer requests by the status of a fork; in the fork return the request."""
    requests, answers = (os.fdopen(os.dup(number), mode) for number, mode in ((0, "r"), (1, "w")))
    while line := requests.readline():
        child = os.fork()
        if child == 0:
            return json.loads(line)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
    os._exit(0)


def become(request: dict[str, Any]) -> None:
    """Be the process that was asked for, up to the program that it runs."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    outputs = [os.open(each, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for each in request["files"]]
    for number, opened in enumerate((nothing, *outputs)):
        os.dup2(opened, number)
    os.closerange(3, 64)  # those of the server


def run_program(words: Sequence[str]) -> None:
    """Run what stands behind the options `-W`, as Python itself would."""
    libraries = warnings.filters[: len(warnings.filters) - _NUM_FILTERS]
    del warnings.filters[: len(libraries)]
    while words[0] == "-W":
        sys.warnoptions.append(words[1])
        warnings._setoption(words[1])
        words = words[2:]
    warnings.filters[:0] = libraries  # which add theirs when they are imported: later
    warnings._filters_mutated()
    kind = words[0] if words[0] in ("-c", "-m") else ""
    name, *arguments = words[1:] if kind else words
    folder = {"-c": "", "-m": os.getcwd()}.get(kind, str(Path(name).parent))
    sys.path[:] = [folder, *filter(None, os.environ.get("PYTHONPATH", "").split(":")), *sys.path]
    sys.argv = [kind if kind == "-c" else name, *arguments]
    if kind == "-m":
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(name, "<string>", "exec"), vars(main))
    else:
        runpy.run_path(name, run_name="__main__")


def prepare() -> None:
    """Import the libraries, and forget what this checkout has imported to get here."""
    sys.dont_write_bytecode = False  # so that the forks need not compile the checkout
    for name in LIBRARIES:
        importlib.import_module(name)
    for name in list(sys.modules):
        if name.partition(".")[0] in ("tests", "agents", "autoloss_gym"):
            del sys.modules[name]
    given = {*os.environ.get("PYTHONPATH", "").split(":"), "", str(ROOT)}
    sys.path[:] = [each for each in sys.path if each not in given]


def status_of(words: Sequence[str]) -> int:
    """Run a program to its end, and what is to be done there: its exit status."""
    try:
        run_program(words)
        code: Any = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # which waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


if __name__ == "__main__":
    prepare()
    gc.freeze()  # a fork shares what is never looked at
    asked = serve()
    become(asked)
    os._exit(status_of(asked["arguments"]))  # the interpreter's own end takes a second
