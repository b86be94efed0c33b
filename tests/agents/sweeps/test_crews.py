"""Cells, and those who play them."""

import dataclasses
import multiprocessing
import os
import signal

import numpy as np
import pytest

from agents.environments import EnvironmentMaker
from agents.evaluation.entrants import make_entrants
from agents.evaluation.rollout import rollout
from agents.evaluation.store import EpisodeStore
from agents.policies.grammar import parse_specification
from agents.sweeps import crews
from agents.sweeps.cells import Cell, EvaluationCell, Place, place_of, play_cell, to_plain
from agents.sweeps.crews import CellsFailed, Here, Lost, Processes, play_cells
from agents.sweeps.evaluations import CellPlayer
from agents.sweeps.recipes import Recipes

ID = "AutoLoss/QuadraticRegression-v1"
MAKER = EnvironmentMaker(
    ID, {"dimension": 4, "num_samples": 20, "max_steps": 40, "split": "validation"}
)
CELLS = [Cell(name=f"cell {number}", digest=f"{number:064}") for number in range(5)]


class Scripted:
    """A crew whose cells fail as often as it is told."""

    def __init__(self, failures, error=None):
        self.failures = dict(failures)
        self.error = error or OSError("it is gone")
        self.begun = []
        self.most_at_once = 2

    def begin(self, cell, place, contents):
        self.begun.append(cell.name)
        return object(), cell.name

    def finished(self, handles):
        return [next(iter(handles))]

    def result(self, handle):
        name = handle[1]
        if self.failures.get(name, 0):
            self.failures[name] -= 1
            raise self.error
        return name.encode()


def played_by(crew, tmp_path):
    found = {}
    numbers = []
    with place_of(tmp_path) as place:
        try:
            for number in play_cells(CELLS, place, crew, {}, found.__setitem__):
                numbers.append(number)
        except CellsFailed as failed:
            return numbers, found, failed
    return numbers, found, None


def test_a_cell_that_is_lost_once_is_played_again(tmp_path):
    crew = Scripted({"cell 1": 1})
    numbers, found, failed = played_by(crew, tmp_path)
    assert failed is None
    assert sorted(numbers) == [0, 1, 2, 3, 4]
    assert crew.begun.count("cell 1") == 2
    assert found[1] == b"cell 1"


def test_a_cell_that_fails_twice_is_named_at_the_end_and_all_others_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(crews, "how_to_go_on", lambda: "go on with it")
    numbers, _, failed = played_by(Scripted({"cell 1": 2}), tmp_path)
    assert sorted(numbers) == [0, 2, 3, 4]
    assert str(failed) == "1 of 5 cells failed: cell 1 (it is gone); go on with it"


def test_what_is_wrong_with_a_cell_itself_is_not_tried_again(tmp_path):
    crew = Scripted({"cell 1": 9}, ValueError("no such policy"))
    numbers, _, failed = played_by(crew, tmp_path)
    assert sorted(numbers) == [0, 2, 3, 4]
    assert crew.begun.count("cell 1") == 1
    assert "cell 1 (no such policy)" in str(failed)


def test_a_cell_whose_machine_is_lost_is_tried_more_often_than_one_that_fails(tmp_path):
    numbers, _, failed = played_by(Scripted({"cell 1": 4}, Lost("no machine")), tmp_path)
    assert (sorted(numbers), failed) == ([0, 1, 2, 3, 4], None)
    numbers, _, failed = played_by(Scripted({"cell 1": 5}, Lost("no machine")), tmp_path)
    assert sorted(numbers) == [0, 2, 3, 4]
    assert "cell 1 (no machine)" in str(failed)


def test_no_more_cells_are_handed_over_than_are_worth_it(tmp_path):
    most = 0

    class Counting(Scripted):
        def finished(self, handles):
            nonlocal most
            most = max(most, len(handles))
            return super().finished(handles)

    played_by(Counting({}), tmp_path)
    assert most == 2


def entrants_and_seeds():
    task = MAKER(num_envs=1).task
    texts = ["softadapt", "1:1", "constant:3"]
    return make_entrants([parse_specification(text) for text in texts], task, ID), np.arange(5)


def by_cells(crew, folder, most_runs=6, progress=lambda done, total: None):
    entrants, seeds = entrants_and_seeds()
    policies = [policy for entrant in entrants for policy in entrant.candidates]
    store = EpisodeStore(folder, "validation", MAKER(num_envs=1).task)
    player = CellPlayer(crew, Recipes(entrants), deterministic=False)
    return rollout(policies, MAKER, seeds, progress, store, player, most_runs)


def directly(folder, most_runs=6):
    entrants, seeds = entrants_and_seeds()
    policies = [policy for entrant in entrants for policy in entrant.candidates]
    store = EpisodeStore(folder, "validation", MAKER(num_envs=1).task)
    return rollout(policies, MAKER, seeds, store=store, most_runs=most_runs)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_cells_are_the_files_that_this_process_would_have_written(tmp_path):
    directly(tmp_path / "directly")
    by_cells(Here(), tmp_path / "here")
    assert files(tmp_path / "here") == files(tmp_path / "directly")
    with Processes(2) as crew:
        by_cells(crew, tmp_path / "processes")
    assert files(tmp_path / "processes") == files(tmp_path / "directly")


def test_cells_of_a_worker_that_is_killed_are_played_by_others(tmp_path):
    directly(tmp_path / "directly")
    killed = []

    def kill(done, total):
        if not killed:
            killed.extend(multiprocessing.active_children())
            os.kill(killed[0].pid, signal.SIGKILL)

    with Processes(2) as crew:
        by_cells(crew, tmp_path / "processes", progress=kill)
        assert {each.pid for each in multiprocessing.active_children()}.isdisjoint(
            each.pid for each in killed
        )
    assert files(tmp_path / "processes") == files(tmp_path / "directly")


def test_a_cell_that_has_its_file_is_never_played_again(tmp_path):
    first = by_cells(Here(), tmp_path)
    again = by_cells(Scripted({}), tmp_path)  # which could play nothing
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.best_scores, other.best_scores)


def test_results_come_back_where_their_folder_is_not_seen(tmp_path, monkeypatch):
    directly(tmp_path / "directly")
    with monkeypatch.context() as patched:
        patched.setattr(Place, "is_seen", False)
        by_cells(Here(), tmp_path / "here")
    assert files(tmp_path / "here") == files(tmp_path / "directly")


def test_a_result_that_is_damaged_on_its_way_counts_as_lost(tmp_path):
    class Damaging(Here):
        def result(self, handle):
            super().result(handle)
            return b"damaged"

    with pytest.raises(CellsFailed, match="its result is damaged, or has not come"):
        by_cells(Damaging(), tmp_path)


def cell(**changes):
    entrants, _ = entrants_and_seeds()
    task = MAKER(num_envs=1).task
    made = EvaluationCell(
        name="softadapt",
        digest="0" * 64,
        env=ID,
        env_kwargs=MAKER.arguments,
        data=task.data_digest,
        deterministic=False,
        policies=[Recipes(entrants).of(entrants[0].candidates[0])],
        seeds=[0, 1],
    )
    return to_plain(dataclasses.replace(made, **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "0.0.1"}, "0.0.1 where the work began: install the same on all machines"),
        ({"data": "other"}, "give all machines the same files"),
    ],
)
def test_another_version_or_other_data_are_one_line(changes, words, tmp_path):
    with place_of(tmp_path) as place, pytest.raises(ValueError, match=words):
        play_cell(cell(**changes), place)


def test_the_name_by_which_a_folder_is_known_again_goes_with_the_command(tmp_path):
    with place_of(tmp_path / "results") as place:
        assert place.is_seen
        assert not Place(place.folder, "another").is_seen
    assert list((tmp_path / "results").iterdir()) == []
