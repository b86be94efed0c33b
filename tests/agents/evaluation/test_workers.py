"""Workers: they end with their parent, and their end is one line."""

import os
import signal
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

PROGRAM = """
import multiprocessing, os, signal, sys, time
from agents.command_line import main
from agents.evaluation.workers import worker_processes
from agents.interruption import goes_on, start

def run():
    goes_on(lambda: "go on with it")
    with worker_processes(2) as pool:
        if "playing" in sys.argv:
            pool.submit(os.getpid).result()
        jobs = [pool.submit(time.sleep, 60) for _ in range(4)]
        print(*(each.pid for each in multiprocessing.active_children()), flush=True)
        for job in jobs:
            job.result()

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored in a background job
    sys.exit(start(lambda: main(run)))
"""


@pytest.fixture
def started(tmp_path):
    """Starts the program; returns it and the numbers of its workers."""
    path = tmp_path / "some.py"
    path.write_text(PROGRAM)
    processes = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, path, *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process, [int(word) for word in process.stdout.readline().split()]

    yield start
    for process in processes:
        if process.stdout.closed:
            continue
        os.killpg(process.pid, signal.SIGKILL)  # reached where the test has failed
        process.communicate()


def ended(process):
    """Status and error output, once no process is left: each holds the pipes until it ends."""
    errors = process.communicate(timeout=5)[1]
    return process.returncode, errors


def test_workers_end_with_a_parent_that_is_killed(started):
    process, workers = started("playing")
    assert len(workers) == 2
    process.kill()
    assert ended(process)[0] == -signal.SIGKILL


def test_sigterm_breaks_off_what_workers_play(started):
    process, _ = started("playing")
    process.terminate()
    assert ended(process) == (143, "some.py: interrupted by SIGTERM; go on with it\n")


def test_ctrl_c_reaches_workers_that_are_starting_and_is_one_line(started):
    process, _ = started()
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGINT)
    assert ended(process) == (130, "some.py: interrupted by SIGINT; go on with it\n")


def test_a_worker_that_is_killed_is_one_line(started):
    process, workers = started()
    os.kill(workers[1], signal.SIGKILL)
    status, errors = ended(process)
    assert status == 2
    assert errors == (
        "some.py: error: a worker was killed, perhaps because the memory was full: "
        "try a lower --num-workers; go on with it\n"
    )


def test_a_command_of_a_study_ends_when_the_study_is_gone():
    command = [sys.executable, "-m", "studies.tables.child", "train_agent.py", "--env", "AutoLoss"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    errors = process.communicate(timeout=5)[1]  # closes its standard input
    assert process.returncode in (143, -signal.SIGTERM)
    assert "Traceback" not in errors
