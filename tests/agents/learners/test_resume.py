"""A training that was killed goes on from its last checkpoint, to what it would have become."""

import os
import pickle
import shutil
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from stable_baselines3 import PPO

from agents.configuration import TrainingConfiguration
from agents.learners.checkpoints import CHECKPOINT, WEIGHTS, load_checkpoint, save_checkpoint
from agents.learners.learner import make_learner
from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from tests.support.paths import ROOT

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 40, "learning_rate": 0.03}
OFF_POLICY = {"learning_starts": 100, "buffer_size": 1000, "batch_size": 32, "train_freq": 1}
HYPERPARAMETERS = {
    "ppo": {"n_steps": 20, "batch_size": 80},
    "a2c": {"n_steps": 10},
    "dqn": {**OFF_POLICY, "target_update_interval": 50},
    "sac": {**OFF_POLICY, "gradient_steps": 1},
    "td3": {**OFF_POLICY, "gradient_steps": 1},
    "reinforce": {},
}


class Killed(Exception):
    """Stands for the end of the process."""


def configuration(algo, **changes):
    control = {"control": "weights"} if algo in ("sac", "td3", "ddpg") else {}
    defaults = {
        "env": ID,
        "env_kwargs": SMALL | control,
        "num_envs": 8,
        "n_timesteps": 1280,
        "seed": 3,
    }
    return TrainingConfiguration(
        algo=algo, hyperparameters=HYPERPARAMETERS[algo], **(defaults | changes)
    )


def train(algo, folder, saves=None, **changes):
    """Train in `folder`; with `saves`, only until so many checkpoints have been written."""
    folder.mkdir(exist_ok=True)
    learner = make_learner(configuration(algo, **changes))
    save, written = learner._save, []

    def count(where):
        save(where)
        written.append(where)
        if len(written) == saves:
            raise Killed

    learner._save = count
    if saves is None:
        learner.train(folder)
    else:
        with pytest.raises(Killed):
            learner.train(folder)


@pytest.mark.parametrize("algo", HYPERPARAMETERS)
def test_a_training_that_goes_on_ends_with_the_weights_of_one_that_was_never_stopped(
    algo, tmp_path
):
    train(algo, tmp_path / "whole")
    train(algo, tmp_path / "killed", saves=3)
    stopped = load_file(tmp_path / "killed" / WEIGHTS)
    torch.manual_seed(999)  # another process has other generators
    np.random.seed(999)
    train(algo, tmp_path / "killed")
    whole, resumed = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not all(torch.equal(whole[name], stopped[name]) for name in whole)
    assert (
        len(list((tmp_path / "killed").glob("progress*.csv"))) == 2
    )  # what was logged before is kept


def test_a_training_that_was_killed_before_its_first_checkpoint_starts_over(tmp_path):
    train("reinforce", tmp_path / "whole")
    (tmp_path / "empty").mkdir()
    train("reinforce", tmp_path / "empty")
    assert (tmp_path / "whole" / WEIGHTS).read_bytes() == (
        tmp_path / "empty" / WEIGHTS
    ).read_bytes()


def test_a_finished_training_is_left_as_it_is(tmp_path):
    train("ppo", tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    train("ppo", tmp_path)
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


@pytest.mark.parametrize("array", ["numpy", "torch"])
def test_an_environment_goes_on_from_its_state(array):
    first, second = (gymnasium.make_vec(ID, num_envs=3, array=array, **SMALL) for _ in range(2))
    actions = np.random.default_rng(0).integers(2, size=(70, 3))  # beyond the end of the episode
    first.reset(seed=7)
    for action in actions[:25]:
        first.step(action)
    second.load_state_dict(first.state_dict())
    for action in actions[25:]:
        one, other = first.step(action), second.step(action)
        for left, right in zip(one[:3], other[:3], strict=True):
            np.testing.assert_array_equal(np.asarray(left), np.asarray(right))


def test_the_state_of_another_environment_is_refused():
    first, second = (gymnasium.make_vec(ID, num_envs=n, **SMALL) for n in (3, 4))
    with pytest.raises(ValueError, match="the saved runs do not fit this environment"):
        second.load_state_dict(first.state_dict())


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def plain_pickle(path, payload):
    path.write_bytes(pickle.dumps(payload))


def pickle_in_torch(path, payload):
    torch.save({"format": 1, "steps": payload}, path)


def pickle_as_legacy_torch(path, payload):
    torch.save({"format": 1, "steps": payload}, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [plain_pickle, pickle_in_torch, pickle_as_legacy_torch])
def test_a_malicious_checkpoint_runs_nothing(write, tmp_path):
    write(tmp_path / CHECKPOINT, Payload(tmp_path / "ran"))
    with pytest.raises(ValueError, match="is not a checkpoint that can be read"):
        load_checkpoint(tmp_path)
    assert not (tmp_path / "ran").exists()
    if write is plain_pickle:
        pickle.loads((tmp_path / CHECKPOINT).read_bytes())
    else:
        torch.load(tmp_path / CHECKPOINT, weights_only=False)
    assert (tmp_path / "ran").exists()  # the payload is live


def evaluate(*arguments):
    command = [sys.executable, ROOT / "evaluate.py", *arguments]
    return subprocess.run(
        list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_zip_of_stable_baselines3_is_read_only_where_it_is_trusted(tmp_path):
    """A model that runs code when it is read: nothing happens without the flag, nor on --resume of
    what was played with it.
    """
    envs = StableBaselines3VecEnv(gymnasium.make_vec(ID, num_envs=4, **SMALL))
    model = PPO("MlpPolicy", envs, n_steps=8, batch_size=32)
    model.payload = Payload(tmp_path / "ran")
    model.save(tmp_path / "model.zip")
    env_kwargs = [f"{name}={value}" for name, value in SMALL.items()]
    policies = [f"ppo:{tmp_path / 'model.zip'}", "1:1"]
    arguments = ["--env", ID, "--env-kwargs", *env_kwargs, "--episodes", 3, "-o", tmp_path / "out",
                 "--policies", *policies]  # fmt: skip
    refused = evaluate(*arguments)
    assert refused.returncode == 2
    assert refused.stderr.startswith("evaluate.py: error: policy 'ppo:")
    assert "add --trust-checkpoint if you trust where it comes from" in refused.stderr
    assert not (tmp_path / "ran").exists()
    trusted = evaluate(*arguments, "--trust-checkpoint")
    assert trusted.returncode == 0, trusted.stderr
    assert "ppo" in trusted.stdout
    (tmp_path / "ran").rmdir()  # it ran
    (folder,) = (tmp_path / "out").iterdir()
    assert "add --trust-checkpoint" in evaluate("--resume", folder).stderr
    assert evaluate("--resume", folder, "--trust-checkpoint").stdout == trusted.stdout


@pytest.mark.parametrize("content", [b"", b"PK no zip"])
def test_a_file_that_is_no_model_is_one_line(content, tmp_path):
    (tmp_path / "model.zip").write_bytes(content)
    arguments = [
        "--env",
        ID,
        "--policies",
        f"ppo:{tmp_path / 'model.zip'}",
        "--trust-checkpoint",
        "-o",
        tmp_path / "out",
    ]
    result = evaluate(*arguments)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "cannot be read as a model of ppo" in result.stderr


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_checkpoint_is_one_line(share, tmp_path):
    save_checkpoint(tmp_path, {"steps": 3, "tensor": torch.zeros(1000)})
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match="delete it to start over") as caught:
        load_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_a_newer_version_is_one_line(tmp_path):
    save_checkpoint(tmp_path, {"format": 2})
    with pytest.raises(ValueError, match=r"format 2 is newer than this version reads \(1\)"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_another_training_is_one_line(tmp_path):
    train("ppo", tmp_path / "first", saves=1)
    (tmp_path / "second").mkdir()
    shutil.copy(tmp_path / "first" / CHECKPOINT, tmp_path / "second")
    with pytest.raises(ValueError, match="does not fit this training"):
        train("ppo", tmp_path / "second", num_envs=4)
    with pytest.raises(ValueError, match="does not fit this training"):
        train("a2c", tmp_path / "second")
    with pytest.raises(ValueError, match="does not fit this training"):
        train("reinforce", tmp_path / "second")


@pytest.mark.parametrize(
    ("algo", "every", "expected"), [("ppo", 320, [320, 640]), ("reinforce", 400, [640, 960])]
)
def test_a_checkpoint_is_saved_every_so_many_steps_also_after_resuming(
    algo, every, expected, tmp_path
):
    """At the end of the rollout of 160 steps, or of the episodes of 320, in which the number is
    reached.
    """
    steps = []
    for _ in range(2):
        train(algo, tmp_path, saves=1, checkpoint_every=every)
        content = load_checkpoint(tmp_path)
        steps.append(
            content["steps"] if algo == "reinforce" else content["counters"]["num_timesteps"]
        )
    assert steps == expected


@pytest.mark.parametrize("algo", ["ppo", "reinforce"])
def test_weights_that_a_kill_left_out_are_written_from_the_finished_checkpoint(algo, tmp_path):
    make_learner(configuration(algo)).train(tmp_path)
    weights = tmp_path / WEIGHTS
    expected = weights.read_bytes()
    for left in (None, b"of an earlier checkpoint"):
        weights.unlink()
        if left:
            weights.write_bytes(left)
        make_learner(configuration(algo)).train(tmp_path)
        assert weights.read_bytes() == expected


@pytest.mark.parametrize("position", [-1, 625, 10**9])
def test_a_state_that_would_crash_numpy_is_one_line(position, tmp_path):
    make_learner(configuration("reinforce")).train(tmp_path)
    content = load_checkpoint(tmp_path)
    content["generators"]["numpy_position"][0] = position
    content["steps"] = 0
    save_checkpoint(tmp_path, content)
    stored = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    stored["generators"] = content["generators"]
    torch.save(stored, tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match=r"does not fit this training .*no state of MT19937"):
        make_learner(configuration("reinforce")).train(tmp_path)
