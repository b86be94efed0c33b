"""What the training of a learned optimizer keeps, and that it goes on after a kill."""

import gymnasium
import numpy as np
import pytest

from agents.command_line import main
from agents.commands.train import train as train_command
from agents.configuration import TrainingConfiguration
from agents.learners.checkpoints import CHECKPOINT
from agents.learners.learned_optimizer import FILE, LearnedOptimizerLearner
from agents.run_folders import load_configuration, save_configuration
from autoloss_gym.optimizers.learned_files import read_weights

ID = "AutoLoss/ImageClassification-v0"
SMALL = {"num_samples": 20, "batch_size": 4, "hidden_sizes": [4], "num_held_out": 12}
OPTIONS = {"unroll": 2, "horizon": 4, "hidden_size": 3}


class Killed(Exception):
    """Stands for the end of the process."""


def configuration(**changes):
    defaults = {
        "algo": "learned_optimizer",
        "env": ID,
        "env_kwargs": SMALL,
        "num_envs": 4,
        "n_timesteps": 6 * 4 * 2,
        "seed": 3,
        "hyperparameters": OPTIONS,
        "checkpoint_every": 2 * 4 * 2,
    }
    return TrainingConfiguration(**(defaults | changes))


def train(folder, saves=None, **changes):
    """Train in `folder`; with `saves`, only until so many checkpoints have been written."""
    folder.mkdir(exist_ok=True)
    save_configuration(folder, configuration(**changes))
    learner = LearnedOptimizerLearner(configuration(**changes))
    save, written = learner._save, []

    def count(where):
        save(where)
        written.append(where)
        if len(written) == saves:
            raise Killed

    learner._save = count
    if saves is None:
        learner.train(folder)
        return
    with pytest.raises(Killed):
        learner.train(folder)


@pytest.mark.parametrize(
    "more", [{}, {"method": "unroll", "meta": "train"}, {"posterior": True, "deviation": 0.1}]
)
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, more):
    changes = {"hyperparameters": OPTIONS | more}
    train(tmp_path / "whole", **changes)
    train(tmp_path / "killed", saves=2, **changes)
    train(tmp_path / "killed", **changes)
    whole, killed = (read_weights(tmp_path / name / FILE) for name in ("whole", "killed"))
    np.testing.assert_array_equal(whole.mean, killed.mean)
    assert (whole.deviation is None) == ("posterior" not in more)
    if whole.deviation is not None:
        np.testing.assert_array_equal(whole.deviation, killed.deviation)


def test_weights_that_a_kill_left_out_are_written_from_the_checkpoint(tmp_path):
    train(tmp_path / "run")
    stored = read_weights(tmp_path / "run" / FILE).mean
    (tmp_path / "run" / FILE).unlink()
    train(tmp_path / "run")
    np.testing.assert_array_equal(read_weights(tmp_path / "run" / FILE).mean, stored)


def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path):
    train(tmp_path / "run", saves=1)
    path = tmp_path / "run" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-5] + b"right")
    with pytest.raises(ValueError, match="delete the file to start over") as error:
        train(tmp_path / "run")
    assert "\n" not in str(error.value)


def test_the_command_trains_and_every_task_takes_what_it_has_learned(tmp_path, capsys):
    kwargs = [f"{name}={value}" for name, value in SMALL.items()]
    given = ["--env", ID, "--env-kwargs", *kwargs, "--algo", "learned_optimizer", "--num-envs", "4",
             "--n-timesteps", "16", "-P", "unroll=2", "horizon=4", "-f", str(tmp_path)]  # fmt: skip
    train_command(given)
    folder = tmp_path / "learned_optimizer" / f"{ID.replace('/', '-')}_1"
    assert load_configuration(folder).hyperparameters["horizon"] == 4
    assert sorted(path.name for path in folder.glob("*.safetensors")) == [CHECKPOINT, FILE]
    for id in (ID, "AutoLoss/QuadraticRegression-v1", "AutoLoss/Rosenbrock-v1"):
        envs = gymnasium.make_vec(id, num_envs=2, optimizer=f"learned:{folder / FILE}")
        envs.reset(seed=0)
        _, _, _, _, infos = envs.step(np.zeros(2, dtype=np.int64))
        assert np.isfinite(infos["losses"]).all()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["--env-kwargs", "optimizer=sgd", "learning_rate=0.1"], "leave out optimizer"),
        (["-P", "unrol=2"], "did you mean 'unroll'"),
        (["--num-envs", "3"], "--num-envs 3: expected an even number"),
    ],
)
def test_what_does_not_fit_is_one_line_and_status_2(tmp_path, capsys, given, reason):
    arguments = ["--env", ID, "--algo", "learned_optimizer", "-f", str(tmp_path / "runs"), *given]
    assert main(lambda: train_command(arguments)) == 2
    assert reason in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "runs").exists()


def test_a_task_that_takes_its_own_steps_is_refused():
    with pytest.raises(ValueError, match="takes its steps itself"):
        LearnedOptimizerLearner(
            configuration(env="AutoLoss/QuadraticStepSize-v0", env_kwargs={}, hyperparameters={})
        )
