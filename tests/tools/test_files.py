"""Files that are whole or absent, are read only where they are files, and folders in use."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from autoloss_gym.tools.files import LOCK, locked, read_bytes, write_bytes


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "x"
    write_bytes(path, b"old")
    write_bytes(path, b"new")
    assert read_bytes(path, 3) == b"new"
    assert names(tmp_path) == ["x"]


def test_the_mode_of_a_file_is_what_the_umask_leaves(tmp_path):
    previous = os.umask(0o027)
    try:
        write_bytes(tmp_path / "x", b"")
    finally:
        os.umask(previous)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_on_a_full_disk_the_old_file_stays_and_nothing_is_left(tmp_path):
    path = tmp_path / "x"
    write_bytes(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"too large: .*/x'"):
            write_bytes(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_a_device_is_not_waited_for(make, tmp_path):
    make(tmp_path / "x")
    with pytest.raises(ValueError, match=r"x' is not a regular file"):
        read_bytes(tmp_path / "x", 10)


def test_a_folder_and_a_link_to_nothing_are_refused(tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path / "x", 10)
    (tmp_path / "y").symlink_to(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "y", 10)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "x").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="has 1,099,511,627,776 bytes, expected at most 10"):
        read_bytes(tmp_path / "x", 10)


# Folders in use

HOLD = """
import pathlib, sys, time
from autoloss_gym.tools.files import locked
with locked(pathlib.Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that keeps a folder until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    with process:
        yield process
        process.kill()


def test_a_folder_in_use_is_refused_with_the_number_of_the_process(tmp_path, holder):
    expected = f"is in use by process {holder.pid}: wait for its end, or stop it"
    with pytest.raises(ValueError, match=expected), locked(tmp_path):
        pytest.fail("two processes have the folder")
    holder.communicate("")
    with locked(tmp_path) as folder:
        assert names(folder) == [LOCK]
    assert names(tmp_path) == []


def test_a_process_that_is_killed_leaves_its_folder_free(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert names(tmp_path) == [LOCK]
    with locked(tmp_path):
        pass
    assert names(tmp_path) == []


def test_a_folder_is_free_again_after_an_error(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass


def test_a_link_in_place_of_the_lock_is_not_written_through(tmp_path):
    (tmp_path / "precious").write_text("content")
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match=LOCK), locked(tmp_path):
        pytest.fail("locked")
    assert (tmp_path / "precious").read_text() == "content"
