"""Every policy that a training keeps leaves its run folder as a file that decides the same."""

import gymnasium
import numpy as np
import pytest
import torch

import autoloss_gym
from agents.configuration import ENVIRONMENT_DEFAULTS, WITH_BASE, TrainingConfiguration
from agents.learners.checkpoints import save_weights
from agents.learners.export import _perceptron, _policy, export
from agents.learners.groups.base_files import save_base
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.run_folders import save_configuration
from autoloss_gym.controllers import files
from autoloss_gym.controllers.controller import FILE
from autoloss_gym.controls.schedule import Schedule

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"max_steps": 20, "validate_every": 5}
HELD = {**SMALL, "control": "schedule"}
WEIGHTS = {**SMALL, "control": "weights"}
BASE = Schedule(weights=((1.0, 0.3), (1.0, 3.0)), step_size=(1.0, 0.5))
POLICIES = {
    "ppo": ("ppo", SMALL, "logits"),
    "ppo, repeated": ("ppo", {**SMALL, "repeat": 5, "features": "log"}, "logits"),
    "ppo, weights": ("ppo", WEIGHTS, "mean"),
    "ppo, schedule": ("ppo", {**HELD, "add": ["shift"]}, "mean"),
    "ppo, step size": ("ppo", {**SMALL, "control": "step_size"}, "mean"),
    "ppo, both": ("ppo", {**SMALL, "control_arguments": {"step_size": True}}, "several"),
    "tensor_ppo": ("tensor_ppo", SMALL, "logits"),
    "a2c": ("a2c", SMALL, "logits"),
    "dqn": ("dqn", SMALL, "values"),
    "dqn, schedule": ("dqn", {**HELD, "control_arguments": {"levels": 3}}, "values"),
    "sac": ("sac", WEIGHTS, "squashed"),
    "td3": ("td3", WEIGHTS, "squashed"),
    "ddpg": ("ddpg", WEIGHTS, "squashed"),
    "reinforce": ("reinforce", SMALL, "logits"),
    "meta_gradient": ("meta_gradient", SMALL | ENVIRONMENT_DEFAULTS["meta_gradient"], "shift"),
    "group": ("group", {**HELD, "add": ["sizes", "best"]}, "shift"),
}


def stored(kind, folder):
    """A run folder as a training leaves it, with weights that decide now this, now that."""
    algo, env_kwargs, _ = POLICIES[kind]
    configuration = TrainingConfiguration(
        algo=algo,
        env=ID,
        env_kwargs=env_kwargs,
        num_envs=24,
        n_timesteps=1000,
        seed=3,
        hyperparameters={},
        checkpoint_every=None,
    )
    torch.manual_seed(0)
    envs = gymnasium.make_vec(ID, num_envs=1, **env_kwargs)
    policy = _policy(configuration, envs)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data = torch.randn_like(parameter)
    folder.mkdir(exist_ok=True)
    save_configuration(folder, configuration)
    save_weights(policy, folder, 1000)
    if algo in WITH_BASE:
        save_base(folder, BASE, {"search": 100, "updates": 20})
    return folder


@pytest.fixture
def run(tmp_path):
    return stored("ppo", tmp_path / "run")


def plain(arguments):
    """Arguments of an environment, without what means the same."""
    return {
        name: list(each or ()) if name in ("add", "drop") else each or {}
        for name, each in arguments.items()
    }


@pytest.mark.parametrize("kind", POLICIES)
def test_a_file_decides_as_its_run_folder_bit_for_bit(kind, tmp_path):
    folder = stored(kind, tmp_path / "run")
    export(folder).save(folder / FILE)
    controller = autoloss_gym.Controller.load(folder)
    policy = TrainedPolicy(folder, ID)
    assert controller.form == POLICIES[kind][2]
    assert plain(controller.env_arguments) == plain(policy.env_arguments)
    envs = gymnasium.make_vec(ID, num_envs=1, **{**SMALL, **policy.env_arguments})
    policy.load(envs)
    policy.reset(np.arange(6))
    controller.reset(np.arange(6))
    generator = np.random.default_rng(0)
    width = envs.single_observation_space.shape[0]
    seen = []
    for steps in (0, 5, 10, 15):
        observations = generator.uniform(-1, 1, (6, width)).astype(np.float32)
        infos = {"steps": np.full(6, steps)}
        expected = policy.act(observations, infos)
        np.testing.assert_array_equal(controller.act(observations, infos), expected)
        seen.append(expected)
    assert len(np.unique(np.stack(seen))) > 1


def test_the_training_runs_behind_a_controller_travel_with_it(tmp_path):
    assert export(stored("group", tmp_path / "group")).training_runs == 120
    assert export(stored("ppo", tmp_path / "ppo")).training_runs == 50
    assert export(stored("ppo, schedule", tmp_path / "schedule")).training_runs == 334


def test_layers_that_no_file_holds_are_refused_in_one_line():
    layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sigmoid(), torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="expected linear ones with one of"):
        _perceptron([layers])


def test_a_folder_without_a_file_says_how_to_make_one(run):
    with pytest.raises(ValueError, match="autoloss export"):
        autoloss_gym.Controller.load(run)


def test_a_folder_that_is_no_run_is_told_apart(tmp_path):
    with pytest.raises(ValueError, match="is no run folder"):
        autoloss_gym.Controller.load(tmp_path)


def changed(run, find, put):
    """The file of the run with other bytes in it."""
    export(run).save(run / FILE)
    content = (run / FILE).read_bytes()
    assert find in content
    (run / FILE).write_bytes(content.replace(find, put, 1))
    return run / FILE


BAD = {
    "no label": (b'"label', b'"lebal', "describes no controller"),
    "no network": (b"network", b"netwerk", "describes no controller"),
    "another activation": (b"tanh", b"tahn", "activation"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_damaged_file_is_one_line(fault, run):
    find, put, expected = BAD[fault]
    with pytest.raises(ValueError, match=expected) as raised:
        autoloss_gym.Controller.load(changed(run, find, put))
    assert "\n" not in str(raised.value)


def test_a_network_that_its_file_cannot_hold_is_never_made():
    sizes = {"num_inputs": 60_000, "num_outputs": 60_000, "hidden_sizes": []}
    with pytest.raises(ValueError, match="cannot hold a network of 3600000000 weights"):
        files._network(sizes, num_bytes=5000)


def test_weights_that_were_changed_are_refused(run):
    export(run).save(run / FILE)
    content = bytearray((run / FILE).read_bytes())
    content[-1] ^= 1
    (run / FILE).write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        autoloss_gym.Controller.load(run)


def test_a_controller_of_other_runs_is_refused_in_one_line(run):
    controller = export(run)
    with pytest.raises(ValueError, match="runs with 3 pairs"):
        controller.on(gymnasium.make_vec("AutoLoss/Beale-v1", num_envs=1).description)
