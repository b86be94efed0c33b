"""Ctrl-C, SIGTERM and a closed terminal end a command within seconds, with one line.

The signal becomes an exception, so that files, bar and processes are put away. Code of others may
lose that exception, or not come to it for long: then a thread ends the process. Importing this
module changes nothing, and it imports nothing slow.
"""

import contextlib
import importlib
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

GRACE = 3.0  # seconds in which a command may put its things away
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


class Interrupted(KeyboardInterrupt):
    """A signal ends the command.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number  # as a shell has it for a process that a signal has ended


class _Watch:
    """Waits for the signals of the process, which has at most one of these at a time.

    Args:
        program: its name in the line that says how it ended.
    """

    def __init__(self, program: str) -> None:
        self.program = program
        self.ends_at_once = False
        self.how_to_go_on: Callable[[], str] = str
        self._came = 0
        self._is_said = False
        self._ended = threading.Event()
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._before: dict[int, Any] = {}

    def begin(self) -> None:
        for number in _SIGNALS:
            # What the caller ignores stays so: `nohup` does that to SIGHUP.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._before[number] = signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._restore)
        self._thread.start()

    def end(self) -> None:
        self._restore()
        self._ended.set()
        self._sender.close()
        self._thread.join()
        self._receiver.close()

    def say(self) -> None:
        """Print how the command ended, once."""
        if self._is_said:
            return
        self._is_said = True
        cursor = "\033[?25h" if sys.stderr.isatty() else ""  # which a bar has hidden
        line = f"{cursor}{self.program}: interrupted by {signal.Signals(self._came).name}"
        how = self.how_to_go_on()
        print(f"{line}; {how}" if how else line, file=sys.stderr, flush=True)

    def leave(self) -> None:
        """At the end of the command: the interpreter's own putting away may take seconds."""
        self.ends_at_once = True
        if self._came:
            sys.stdout.flush()
            self._exit(self._came)

    def _restore(self) -> None:
        """Also in a fork, whose signals are not those of the command."""
        if self._before:
            signal.set_wakeup_fd(-1)
        while self._before:
            signal.signal(*self._before.popitem())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.ends_at_once:
            self._exit(number)
        if not self._came:  # another signal would only break off the putting away
            self._came = number
            raise Interrupted(number)

    def _wait(self) -> None:
        """End the process where the main thread does not do so in time; it may be inside C."""
        received = self._receiver.recv(1)
        if received and not self._ended.wait(GRACE):
            self._exit(received[0])

    def _exit(self, number: int) -> None:
        self._came = self._came or number
        self.say()
        os._exit(128 + self._came)


_watch: _Watch | None = None


def _begin() -> bool:
    """Watch the signals, unless they are watched, or this is not the thread that gets them."""
    global _watch  # noqa: PLW0603 (signals are the process's own)
    if _watch or threading.current_thread() is not threading.main_thread():
        return False
    _watch = _Watch(Path(sys.argv[0]).name)
    _watch.begin()
    return True


@contextlib.contextmanager
def interruptible(program: str | None = None) -> Iterator[None]:
    """Within the block a signal raises `Interrupted`, and ends the process in any case.

    Args:
        program: its name in the line that says how it ended, by default that of the script.
    """
    global _watch  # noqa: PLW0603 (see above)
    is_first = _begin()
    if _watch and program:
        _watch.program = program
    try:
        yield
    except Interrupted:
        if _watch:
            _watch.say()
        raise
    finally:
        if _watch and is_first:
            _watch.end()
            _watch = None


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Within the block, for imports, a signal ends the process without more ado.

    There is nothing to put away, and C code in the midst of an import would lose an exception.
    """
    if _watch:
        _watch.ends_at_once = True
    try:
        yield
    finally:
        if _watch:
            _watch.ends_at_once = False


def goes_on(how: Callable[[], str]) -> None:
    """Have a command that ends too early say what is kept and how it goes on.

    Args:
        how: makes these words.
    """
    if _watch:
        _watch.how_to_go_on = how


def how_to_go_on() -> str:
    """The words of `goes_on`; empty where nothing is kept."""
    return _watch.how_to_go_on() if _watch else ""


def resume_command(program: str | None, env: str, options: Sequence[str]) -> str:
    """How a command is called to go on with a folder, whose name follows.

    Args:
        program: as the command got it.
        env: a module that it names is named again.
        options: more that the folder does not keep.
    """
    words = [program or f"python {sys.argv[0]}", *options]
    if ":" in env:
        words.append(f"--env {shlex.quote(env)}")
    return " ".join([*words, "--resume"])


def start(run: Callable[[], int]) -> int:
    """Run a command that is all that its process does: signals are watched up to its very end."""
    try:
        _begin()  # within: a signal may come as soon as it watches
        return run()
    finally:
        if _watch:
            _watch.leave()


def start_command(name: str) -> int:
    """Import and run the command `module:function`; its exit status."""

    def run() -> int:
        with ending_at_once():
            from .command_line import main

            module, _, function = name.partition(":")
            command = getattr(importlib.import_module(module), function)
        return main(command)

    return start(run)
