"""A training that was killed goes on from its last checkpoint, to what it would have become."""

import io
import json
import os
import pickle
import shutil

import gymnasium
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from stable_baselines3 import PPO

from agents.configuration import TrainingConfiguration
from agents.learners.checkpoints import CHECKPOINT, WEIGHTS, load_weights
from agents.learners.learner import make_learner
from agents.learners.reinforce import build_controller
from agents.learners.stable_baselines3 import build_policy
from agents.policies.trained.zip_policy import ZipPolicy
from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from autoloss_gym.tools.stored import write_arrays
from tests.support.paths import ROOT
from tests.support.prepared import run_python

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
    "tensor_ppo": {"n_steps": 20, "batch_size": 80},
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
    # Each saves three times at least: ten times in all, or after each rollout.
    n_timesteps = 1280 if algo == "reinforce" else 640
    train(algo, tmp_path / "whole", n_timesteps=n_timesteps)
    train(algo, tmp_path / "killed", saves=3, n_timesteps=n_timesteps)
    stopped = load_file(tmp_path / "killed" / WEIGHTS)
    torch.manual_seed(999)  # another process has other generators
    np.random.seed(999)
    train(algo, tmp_path / "killed", n_timesteps=n_timesteps)
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


@pytest.mark.parametrize("in_torch", [False, True])
def test_a_malicious_checkpoint_runs_nothing(in_torch, tmp_path):
    payload = Payload(tmp_path / "ran")
    path = tmp_path / CHECKPOINT
    if in_torch:
        torch.save({"format": 2, "steps": payload}, path)
    else:
        path.write_bytes(pickle.dumps(payload))
    assert "cannot be read" in refused(tmp_path)
    assert not (tmp_path / "ran").exists()
    if in_torch:
        torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
    else:
        pickle.loads(path.read_bytes())
    assert (tmp_path / "ran").exists()  # the payload is live


def evaluate(*arguments):
    return run_python(ROOT / "evaluate.py", *arguments)


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


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """Run folders of trainings that were stopped after their first checkpoint."""
    folder = tmp_path_factory.mktemp("interrupted")
    for algo in ("reinforce", "ppo", "dqn", "tensor_ppo"):
        train(algo, folder / algo, saves=1)
    return folder


def refused(folder, algo="reinforce"):
    """The line with which a training refuses to go on from a checkpoint."""
    with pytest.raises(ValueError, match="delete the file to start over") as caught:
        make_learner(configuration(algo)).train(folder)
    message = str(caught.value)
    assert message.startswith(repr(str(folder / CHECKPOINT)))
    assert "\n" not in message
    return message


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_checkpoint_is_one_line(share, interrupted, tmp_path):
    content = (interrupted / "reinforce" / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(content[: int(share * len(content))])
    refused(tmp_path)


def test_one_wrong_bit_of_a_checkpoint_is_noticed(interrupted, tmp_path):
    content = bytearray((interrupted / "reinforce" / CHECKPOINT).read_bytes())
    content[-1] ^= 1
    (tmp_path / CHECKPOINT).write_bytes(content)
    assert "it is damaged: its checksum is not that of its content" in refused(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_checkpoint_that_is_no_file_is_not_waited_for(make, tmp_path):
    make(tmp_path / CHECKPOINT)
    with pytest.raises((ValueError, OSError), match=CHECKPOINT):
        make_learner(configuration("reinforce")).train(tmp_path)


def test_a_sparse_file_of_a_terabyte_is_not_read(tmp_path):
    with (tmp_path / CHECKPOINT).open("wb") as file:
        file.truncate(1 << 40)
    assert "has 1,099,511,627,776 bytes, expected at most" in refused(tmp_path)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("3", "newer than this version reads (2)"), ("1", "older than this version reads (2)")],
)
def test_a_checkpoint_of_another_version_is_one_line(version, expected, interrupted, tmp_path):
    arrays = load_file(interrupted / "reinforce" / CHECKPOINT)
    save_file(arrays, tmp_path / CHECKPOINT, metadata={"format": version})
    assert f"format {version} is {expected}" in refused(tmp_path)


@pytest.mark.parametrize(
    ("algo", "place", "value"),
    [
        ("reinforce", "steps", -1),
        ("reinforce", "steps", 1e30),
        ("reinforce", "steps", "many"),
        ("reinforce", "steps", None),
        ("reinforce", "baseline", np.float64(3).reshape(())),
        ("reinforce", "adam/0/exp_avg", np.zeros((3, 3), np.float32)),
        ("reinforce", "adam/0/exp_avg_sq", -np.ones((16, 11), np.float32)),
        ("reinforce", "adam/9/exp_avg", np.zeros(3, np.float32)),
        ("reinforce", "envs/elapsed", np.full(8, 10**9)),
        ("reinforce", "envs/seeds", np.zeros(8, np.int32)),
        ("reinforce", "envs/is_reset", False),
        ("reinforce", "envs/episodes", None),
        ("reinforce", "generators/numpy_position/0", 10**9),
        ("reinforce", "generators/numpy_position/0", -1),
        ("reinforce", "generators/numpy_position/0", 625),
        ("reinforce", "generators/numpy", np.zeros(3, np.uint32)),
        ("reinforce", "generators/torch", np.zeros(3, np.uint8)),
        ("reinforce", "training/seed", "4"),
        ("ppo", "counters/num_timesteps", 1e30),
        ("ppo", "counters/__class__", 3),
        ("ppo", "counters/learn", "x"),
        ("ppo", "last_observations", np.zeros((8, 3), np.float32)),
        ("ppo", "last_episode_starts", np.zeros(8, np.float32)),
        ("ppo", "modules/policy", 3),
        ("ppo", "actions/state/state", -1),
        ("dqn", "replayed/actions", np.zeros(3)),
        ("dqn", "position", 10**6),
        ("dqn", "is_full", 1),
        ("tensor_ppo", "draws", np.zeros(3, np.uint8)),
        ("tensor_ppo", "lengths", np.full(8, -1)),
        ("tensor_ppo", "policy/log_std", 1.0),
    ],
)
def test_content_that_no_such_training_writes_is_one_line_that_names_it(
    algo, place, value, interrupted, tmp_path
):
    content = dict(leaves(interrupted / algo / CHECKPOINT), **{place: value})
    write_arrays(tmp_path / CHECKPOINT, content)
    assert place in refused(tmp_path, algo)


def test_a_checkpoint_of_format_1_is_not_passed_over_in_silence(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"checkpoint.pt' is of format 1, .* delete the file"):
        train("reinforce", tmp_path)


def test_a_missing_part_of_a_checkpoint_is_named(interrupted, tmp_path):
    content = leaves(interrupted / "ppo" / CHECKPOINT)
    del content["last_observations"]
    write_arrays(tmp_path / CHECKPOINT, content)
    assert "it has no 'last_observations'" in refused(tmp_path, "ppo")


def leaves(path):
    """The content of a stored file by place, unchecked."""
    with safe_open(path, framework="numpy") as file:
        texts = file.metadata()
        arrays = {place: file.get_tensor(place) for place in file.keys()}  # noqa: SIM118
    values = {place: json.loads(text) for place, text in texts.items() if place != "checksum"}
    del values["format"]
    return arrays | values


def test_a_checkpoint_of_another_training_is_one_line(tmp_path):
    train("ppo", tmp_path / "first", saves=1)
    (tmp_path / "second").mkdir()
    shutil.copy(tmp_path / "first" / CHECKPOINT, tmp_path / "second")
    with pytest.raises(ValueError, match="delete the file to start over"):
        train("ppo", tmp_path / "second", num_envs=4)
    with pytest.raises(ValueError, match="delete the file to start over"):
        train("a2c", tmp_path / "second")
    with pytest.raises(ValueError, match="delete the file to start over"):
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
        place = "steps" if algo == "reinforce" else "counters/num_timesteps"
        steps.append(leaves(tmp_path / CHECKPOINT)[place])
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


# Weights


@pytest.mark.parametrize("algo", ["reinforce", "ppo", "dqn"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda value: value * np.nan, "expected finite float32"),
        (lambda value: value + np.inf, "expected finite float32"),
        (lambda value: value.astype(bool), "is bool"),
        (lambda value: value.astype(np.float64), "is float64"),
        (lambda value: value[:1], "does not fit this environment"),
    ],
)
def test_weights_that_no_training_gives_are_one_line(algo, change, expected, interrupted, tmp_path):
    content = leaves(interrupted / algo / WEIGHTS)
    name = next(place for place, value in content.items() if np.ndim(value) == 1)
    write_arrays(tmp_path / WEIGHTS, content | {name: change(content[name])})
    with pytest.raises(ValueError, match=expected) as caught:
        load_weights(policy_of(algo), tmp_path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.complex64])
def test_weights_of_types_that_numpy_does_not_know_are_one_line(dtype, interrupted, tmp_path):
    tensors = load_file(interrupted / "ppo" / WEIGHTS)
    name = next(iter(tensors))
    save_file(tensors | {name: tensors[name].to(dtype)}, tmp_path / WEIGHTS)
    with pytest.raises(ValueError, match=name):
        load_weights(policy_of("ppo"), tmp_path)


def test_weights_of_the_format_before_are_read(interrupted, tmp_path):
    tensors = load_file(interrupted / "ppo" / WEIGHTS)
    save_file(tensors, tmp_path / WEIGHTS, metadata={"steps": "160"})
    assert load_weights(policy_of("ppo"), tmp_path) == 160


def policy_of(algo):
    envs = gymnasium.make_vec(ID, num_envs=1, **SMALL)
    build = build_controller if algo == "reinforce" else build_policy
    return build(configuration(algo), envs)


@pytest.mark.parametrize("change", [torch.full_like, torch.Tensor.bool])
def test_weights_of_a_zip_that_are_not_finite_or_not_float32_are_one_line(change, tmp_path):
    envs = StableBaselines3VecEnv(gymnasium.make_vec(ID, num_envs=4, **SMALL))
    model = PPO("MlpPolicy", envs, n_steps=8, batch_size=32)
    state = model.policy.state_dict()
    weights = state["action_net.weight"]
    broken = weights.bool() if change is torch.Tensor.bool else change(weights, torch.nan)
    parameters = model.get_parameters()
    parameters["policy"] = state | {"action_net.weight": broken}
    model.get_parameters = lambda: parameters
    model.save(tmp_path / "model.zip", exclude=["get_parameters"])
    with pytest.raises(ValueError, match=r"action_net\.weight") as caught:
        ZipPolicy("ppo", tmp_path / "model.zip")
    assert "\n" not in str(caught.value)


def test_all_files_have_the_mode_that_the_umask_gives(tmp_path):
    previous = os.umask(0o027)
    try:
        train("ppo", tmp_path / "run", saves=1)
    finally:
        os.umask(previous)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "run").iterdir()}
    assert modes == {0o640}
