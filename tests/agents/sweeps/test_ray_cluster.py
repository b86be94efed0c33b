"""Cells on a Ray cluster of several nodes, some of which are lost."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.agents.sweeps.test_sweep import SWEEP
from tests.support.paths import ROOT

ray = pytest.importorskip("ray", reason="needs the extra cluster")
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]

POLICIES = ["softadapt", "dwa", "1:1", "random:0.3", "constant:6"]
EVALUATION = ["--env", "AutoLoss/QuadraticRegression-v1", "--policies", *POLICIES,
              "--episodes", "160"]  # fmt: skip
TABLES = ("table.txt", "table.md", "results.json", "results.csv")
NAME = "AutoLoss-QuadraticRegression-v1_1"
_LONGEST = 240  # seconds of an evaluation


@contextlib.contextmanager
def cluster(num_nodes):
    """A head that plays nothing, and so many nodes of one processor."""
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 80_000_000}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    nodes = [made.add_node(num_cpus=1, **small) for _ in range(num_nodes)]
    try:
        yield made, nodes
    finally:
        made.shutdown()


def begin(*arguments, program=("evaluate.py",)):
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process):
    output, errors = process.communicate(timeout=_LONGEST)
    assert process.returncode == 0, output + errors
    return output


def cells(folder):
    return len(list((folder / NAME / "episodes").glob("*.safetensors")))


def wait_for_cells(folder, number):
    deadline = time.monotonic() + _LONGEST
    while cells(folder) < number:
        assert time.monotonic() < deadline, "no cell is finished"
        time.sleep(0.05)


def tables(folder):
    """The bytes of all tables, which name the folder that they are in where it was given."""
    found = {}
    for name in TABLES:
        content = (folder / NAME / name).read_bytes()
        found[name] = content.replace(str(folder).encode(), b"")
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The tables of one process, and the number of its cells."""
    folder = tmp_path_factory.mktemp("one")
    end(begin(*EVALUATION, "-o", folder))
    return tables(folder), cells(folder)


def test_two_processes_and_one_node_make_the_tables_of_one_process(expected, tmp_path):
    end(begin(*EVALUATION, "-o", tmp_path / "two", "--workers", 2))
    assert tables(tmp_path / "two") == expected[0]
    with cluster(1) as (made, _):
        end(begin(*EVALUATION, "-o", tmp_path / "node", "--cluster", made.address))
    assert tables(tmp_path / "node") == expected[0]


def test_a_node_that_is_lost_and_another_that_comes_change_no_byte(expected, tmp_path):
    with cluster(2) as (made, nodes):
        process = begin(*EVALUATION, "-o", tmp_path, "--cluster", made.address)
        wait_for_cells(tmp_path, 1)
        made.remove_node(nodes[0], allow_graceful=False)
        assert cells(tmp_path) < expected[1]
        made.add_node(num_cpus=1, object_store_memory=80_000_000)
        end(process)
    assert tables(tmp_path) == expected[0]


def test_a_driver_that_is_killed_is_resumed_with_another_number_of_nodes(expected, tmp_path):
    with cluster(2) as (made, _):
        process = begin(*EVALUATION, "-o", tmp_path, "--cluster", made.address)
        wait_for_cells(tmp_path, 1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert cells(tmp_path) < expected[1]
        made.add_node(num_cpus=1, object_store_memory=80_000_000)
        end(begin("--resume", tmp_path / NAME, "--cluster", made.address))
    assert tables(tmp_path) == expected[0]


def test_a_sweep_makes_the_tables_of_one_process(tmp_path):
    file = tmp_path / "sweep.yml"
    file.write_text(SWEEP)
    sweep = ("-m", "agents.commands.console", "sweep")
    end(begin(file, "-o", tmp_path / "one", program=sweep))
    with cluster(2) as (made, _):
        end(begin(file, "-o", tmp_path / "nodes", "--cluster", made.address, program=sweep))
    assert tables(tmp_path / "nodes") == tables(tmp_path / "one")


def test_ctrl_c_is_one_line_that_says_how_to_go_on(tmp_path):
    with cluster(1) as (made, _):
        process = begin(*EVALUATION, "-o", tmp_path, "--cluster", made.address)
        wait_for_cells(tmp_path, 1)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted by SIGINT" in errors.splitlines()[-1]
    assert "--resume" in errors.splitlines()[-1]


def test_no_cluster_is_one_line():
    process = begin(*EVALUATION, "--cluster", "127.0.0.1:1")
    errors = process.communicate(timeout=_LONGEST)[1]
    assert process.returncode == 2
    assert errors.splitlines()[-1].startswith(
        "evaluate.py: error: --cluster 127.0.0.1:1: no Ray cluster can be joined"
    )
