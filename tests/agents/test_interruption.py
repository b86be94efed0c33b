"""Signals: a command ends within seconds, with one line, and goes on where it was."""

import signal
import subprocess
import sys
import time

import pytest

from agents import interruption
from agents.command_line import main
from tests.support.paths import ROOT
from tests.support.prepared import run_python

ID = "AutoLoss/QuadraticRegression-v1"
HEAD = """
import signal, sys, time
from agents.command_line import main
from agents.interruption import ending_at_once, goes_on, start
from agents import interruption
sys.argv = ["some.py"]
signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in a background job
signal.signal(signal.SIGHUP, signal.SIG_DFL)

def wait(seconds):
    end = time.monotonic() + seconds
    print("ready", flush=True)
    while time.monotonic() < end:
        time.sleep(0.01)
"""
TAIL = "\nsys.exit(start(lambda: main(run)))"


def interrupted(body, *numbers):
    """Run a command and send it signals as soon as it is ready: its status and its two outputs."""
    command = [sys.executable, "-c", HEAD + body + TAIL]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.1)
    output, errors = process.communicate(timeout=5)
    return process.returncode, output, errors


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_is_one_line_that_says_how_to_go_on_and_the_status_of_a_shell(number, status):
    body = "def run():\n goes_on(lambda: 'go on with it')\n wait(30)"
    line = f"some.py: interrupted by {number.name}; go on with it\n"
    assert interrupted(body, number) == (status, "", line)


def test_a_second_signal_does_not_break_off_the_putting_away():
    body = "def run():\n try: wait(30)\n finally: time.sleep(0.5); print('put away')"
    expected = (130, "put away\n", "some.py: interrupted by SIGINT\n")
    assert interrupted(body, signal.SIGINT, signal.SIGINT, signal.SIGTERM) == expected


def test_a_command_ends_in_time_though_the_exception_is_lost():
    body = """
interruption.GRACE = 0.3
def run():
    try: wait(30)
    except BaseException: pass
    time.sleep(30)
"""
    assert interrupted(body, signal.SIGTERM) == (143, "", "some.py: interrupted by SIGTERM\n")


def test_a_signal_during_imports_ends_the_process_without_an_exception():
    body = """
def run():
    with ending_at_once():
        try: wait(30)
        except BaseException: print("an exception")
"""
    assert interrupted(body, signal.SIGINT) == (130, "", "some.py: interrupted by SIGINT\n")


def test_a_signal_that_the_caller_ignores_stays_ignored_as_under_nohup():
    body = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\ndef run(): wait(1); print('done')"
    assert interrupted(body, signal.SIGHUP) == (0, "done\n", "")


def test_signals_are_watched_within_a_command_and_only_there(monkeypatch):
    def handlers():
        numbers = (signal.SIGTERM, signal.SIGUSR1)  # others may be ignored by who runs the tests
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup)
        return [wakeup, *map(signal.getsignal, numbers)]

    monkeypatch.setattr(interruption, "_SIGNALS", [signal.SIGTERM, signal.SIGUSR1])
    before = handlers()
    within = []
    assert main(lambda: within.extend(handlers())) == 0
    assert handlers() == before
    assert all(one != other for one, other in zip(within, before, strict=True))


def test_a_command_that_goes_on_names_again_what_its_folder_does_not_keep():
    assert interruption.resume_command("autoloss train", ID, []) == "autoloss train --resume"
    command = interruption.resume_command("autoloss evaluate", "own:My-v0", ["--trust-checkpoint"])
    assert command == "autoloss evaluate --trust-checkpoint --env own:My-v0 --resume"


ENDS = """
import os, runpy, signal, sys
replace, saved = os.replace, []

def ends_after_the_second_checkpoint(source, target):
    replace(source, target)
    saved.extend([target] if os.path.basename(target).startswith("checkpoint.") else [])
    if len(saved) == 2:
        os.kill(os.getpid(), signal.SIGTERM)

os.replace, sys.argv = ends_after_the_second_checkpoint, sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_training_that_sigterm_ends_goes_on_to_the_same_bits(tmp_path):
    small = ["--env-kwargs", "dimension=4", "num_samples=20", "max_steps=20", "--num-envs", "8"]
    short = ["--n-timesteps", "480", "--checkpoint-every", "160", "-P", "n_steps=20"]
    train = [ROOT / "train_agent.py", "--env", ID, "--algo", "ppo", *small, *short, "-f"]
    run_python(*train, tmp_path / "whole")
    ended = run_python("-c", ENDS, *train, tmp_path / "ended")

    assert ended.returncode == 143
    assert "Traceback" not in ended.stderr
    (folder,) = tmp_path.glob("ended/ppo/*")
    command = f"python {train[0]} --resume {folder}"
    assert ended.stderr.endswith(f"{folder} holds a checkpoint: go on with {command}\n")
    assert not list(folder.glob("*.tmp"))

    run_python(*command.split()[1:])
    (whole,) = tmp_path.glob("whole/ppo/*/policy.safetensors")
    assert (folder / whole.name).read_bytes() == whole.read_bytes()
