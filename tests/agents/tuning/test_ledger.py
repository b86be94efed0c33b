"""Workers of one study: none of its trials is lost or played twice."""

import signal
import subprocess
import sys
from collections import Counter

import pytest

from agents.configuration import TrainingConfiguration
from agents.tuning.settings import Settings
from tests.support.paths import ROOT

optuna = pytest.importorskip("optuna")

from agents.tuning.ledger import Ledger, error_of, taken  # noqa: E402
from agents.tuning.storage import create_study, load_study  # noqa: E402

HEAD = """
import sys, time
from pathlib import Path
import optuna
from agents.tuning.ledger import Ledger
from agents.tuning.settings import load_settings
from agents.tuning.storage import load_study

class Line:
    def distributions(self):
        return {"x": optuna.distributions.FloatDistribution(0.01, 1.0, log=True)}

folder = Path(sys.argv[1])
settings = load_settings(folder)
study = load_study(settings, folder, None)
print("ready", flush=True)
sys.stdin.readline()
with Ledger(study, settings, Line(), folder) as ledger:
"""
PLAYS_ALL = (
    HEAD
    + """
    while trial := ledger.claim():
        time.sleep(0.01)
        ledger.finish(trial, trial.params["x"])
        print(trial.number, flush=True)
"""
)
HANGS = (
    HEAD
    + """
    trial = ledger.claim()
    print(trial.number, flush=True)
    time.sleep(60)
"""
)


class Line:
    """A space of one number."""

    start = {"x": 0.5}

    def distributions(self):
        return {"x": optuna.distributions.FloatDistribution(0.01, 1.0, log=True)}


def new_study(folder, trials):
    configuration = TrainingConfiguration(
        algo="ppo",
        env="AutoLoss/QuadraticRegression-v1",
        env_kwargs={},
        num_envs=1,
        n_timesteps=1,
        seed=0,
        hyperparameters={},
    )
    settings = Settings(
        configuration=configuration,
        name="a study",
        storage="journal",
        trials=trials,
        episodes=1,
        confirm_seeds=0,
        pruning=False,
    )
    study = create_study(settings, folder, None, Line.start, minimize=True)
    settings.save(folder)
    return study, settings


def started(program, folder):
    """A worker that waits for a line."""
    worker = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout.readline() == "ready\n"
    return worker


def test_two_processes_play_every_trial_of_a_journal_once(tmp_path):
    study, _ = new_study(tmp_path, trials=30)
    workers = [started(PLAYS_ALL, tmp_path) for _ in range(2)]
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    played = [list(map(int, worker.communicate()[0].split())) for worker in workers]
    assert all(played)  # both had a part in it
    assert sorted(played[0] + played[1]) == list(range(30))
    states = Counter(trial.state.name for trial in study.get_trials())
    assert states == {"COMPLETE": 30}
    assert len({trial.params["x"] for trial in study.get_trials()}) == 30


def test_a_trial_is_handed_out_again_with_its_settings_once_its_worker_is_dead(tmp_path):
    study, settings = new_study(tmp_path, trials=2)
    worker = started(HANGS, tmp_path)
    worker.stdin.write("\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "0\n"
    with Ledger(study, settings, Line(), tmp_path) as ledger:
        first = ledger.claim()
        assert first.number == 1  # trial 0 is being played, so that is the last one
        ledger.finish(first, 0.1)
        assert ledger.claim() is None
        assert not ledger.is_over()
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        assert not ledger.is_over()  # it waits for somebody
        again = ledger.claim()
        assert (again.number, again.params) == (2, Line.start)
        ledger.finish(again, 0.2)
        assert ledger.claim() is None
        assert ledger.is_over()
    states = [trial.state.name for trial in study.get_trials()]
    assert states == ["FAIL", "COMPLETE", "COMPLETE"]
    assert [trial.number for trial in taken(study)] == [1, 2]


def test_a_trial_that_failed_counts_and_is_not_played_again(tmp_path):
    study, settings = new_study(tmp_path, trials=1)
    with Ledger(study, settings, Line(), tmp_path) as ledger:
        ledger.fail(ledger.claim(), "its score is not finite")
        assert ledger.claim() is None
        assert ledger.is_over()
    [trial] = study.get_trials()
    assert error_of(trial) == "its score is not finite"


def test_a_study_that_goes_on_draws_what_it_would_have_drawn(tmp_path):
    drawn = []
    for part, stops in (("whole", ()), ("parts", (4, 9, 12))):
        folder = tmp_path / part
        folder.mkdir()
        study, settings = new_study(folder, trials=15)
        ledger = Ledger(study, settings, Line(), folder)
        while trial := ledger.claim():
            ledger.finish(trial, trial.params["x"])
            if trial.number in stops:
                study = load_study(settings, folder, None)
                ledger = Ledger(study, settings, Line(), folder)
        drawn.append([each.params["x"] for each in study.get_trials()])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 15


def test_a_line_that_a_killed_process_has_begun_is_removed_from_the_journal(tmp_path):
    study, settings = new_study(tmp_path, trials=1)
    journal = tmp_path / "journal.log"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"work')
    study = load_study(settings, tmp_path, None)
    study.set_user_attr("more", 1)
    content = journal.read_bytes()
    assert content.startswith(whole + b'{"op_code":2')
    assert load_study(settings, tmp_path, None).user_attrs["more"] == 1


def test_settings_that_end_their_process_three_times_have_failed(tmp_path):
    study, settings = new_study(tmp_path, trials=2)
    for number in range(3):
        with Ledger(study, settings, Line(), tmp_path) as ledger:
            trial = ledger.claim()  # and the lock is given back before it is played
            assert (trial.number, trial.params) == (number, Line.start)
    with Ledger(study, settings, Line(), tmp_path) as ledger:
        trial = ledger.claim()
        assert trial.params != Line.start
        ledger.finish(trial, 0.1)
        assert ledger.claim() is None
        assert ledger.is_over()
    assert [each.number for each in taken(study)] == [2, 3]
    assert error_of(study.get_trials()[2]).startswith("its process was killed, as 2 before it")


def test_a_worker_that_is_interrupted_gives_its_trial_back_as_often_as_it_likes(tmp_path):
    study, settings = new_study(tmp_path, trials=1)
    for number in range(5):
        with Ledger(study, settings, Line(), tmp_path) as ledger:
            trial = ledger.claim()
            assert (trial.number, trial.params) == (number, Line.start)
            if number > 1:  # after two that were killed
                ledger.give_back(trial)
    with Ledger(study, settings, Line(), tmp_path) as ledger:
        ledger.finish(ledger.claim(), 0.1)
        assert ledger.is_over()
    assert [each.number for each in taken(study)] == [5]


@pytest.mark.parametrize("line", [b"{", b"\xff", b'{"op_code":99}', b'{"op_code":4}'])
def test_a_damaged_journal_is_one_line(tmp_path, line):
    _, settings = new_study(tmp_path, trials=1)
    journal = tmp_path / "journal.log"
    journal.write_bytes(line + b"\n" + journal.read_bytes())
    with pytest.raises(ValueError, match=r"journal\.log"):
        load_study(settings, tmp_path, None)
