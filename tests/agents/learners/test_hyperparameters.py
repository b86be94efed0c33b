"""Hyper-parameters are checked before a training begins."""

import inspect

import pytest
import stable_baselines3

from agents.command_line import main
from agents.commands.train import train
from agents.configuration import ALGORITHMS, hyperparameters
from agents.learners.hyperparameters import _INTERNAL, _TYPES, checked_hyperparameters
from autoloss_gym.registration import TASKS

ALGORITHM_CLASSES = [
    getattr(stable_baselines3, name.upper())
    for name in ALGORITHMS
    if name not in ("group", "learned_optimizer", "meta_gradient", "reinforce", "tensor_ppo")
]
each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHM_CLASSES)


@each_algorithm
def test_every_hyperparameter_of_stable_baselines3_has_a_type(algorithm):
    names = {name for name in inspect.signature(algorithm).parameters if not name.startswith("_")}
    assert names - set(_INTERNAL) <= set(_TYPES)


@each_algorithm
def test_defaults_and_the_files_of_this_project_pass(algorithm):
    parameters = inspect.signature(algorithm).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.name in _TYPES}
    checked_hyperparameters(algorithm, defaults)
    for id in TASKS:
        chosen = hyperparameters(algorithm.__name__.lower(), id)
        of_algorithm = {
            name: value for name, value in chosen.items() if name not in ("num_envs", "n_timesteps")
        }
        checked_hyperparameters(algorithm, of_algorithm)


@pytest.mark.parametrize(
    ("algorithm", "given", "expected"),
    [
        ("PPO", {"gamma": "abc"}, "gamma='abc': expected a number from 0 to 1"),
        ("PPO", {"gamma": 2}, "gamma=2: expected a number from 0 to 1"),
        ("PPO", {"clip_range": -1}, "clip_range=-1: expected a positive finite number"),
        ("PPO", {"n_epochs": 0}, "n_epochs=0: expected an integer of at least 1"),
        ("PPO", {"batch_size": 1.5}, "batch_size=1.5: expected an integer of at least 1"),
        ("PPO", {"device": "abc"}, "device='abc': expected 'cuda'"),
        ("PPO", {"ent_coef": "auto"}, "ent_coef='auto': expected a finite number"),
        ("PPO", {"policy_kwargs": {"net_arch": [-1]}}, "expected a list, each element an integer"),
        ("PPO", {"policy_kwargs": {"net_arch": {"q": [4]}}}, "expected a list of sizes, or one"),
        ("PPO", {"self": 1}, "unknown hyper-parameter of PPO 'self'"),
        ("SAC", {"train_freq": 0}, "train_freq=0: expected an integer of at least 1"),
        ("SAC", {"train_freq": [1, "episode"]}, "or a list of 2"),
        ("SAC", {"gradient_steps": 0}, "gradient_steps=0: expected -1 or an integer"),
        ("SAC", {"buffer_size": 1e12}, "buffer_size=1000000000000.0: expected an integer"),
        ("SAC", {"learning_rate": float("inf")}, "learning_rate=inf: expected a number above 0"),
        ("DQN", {"action_noise": "normal"}, "unknown hyper-parameter of DQN 'action_noise'"),
        ("TD3", {"action_noise": "normal"}, "action_noise='normal': expected None"),
    ],
)
def test_values_without_a_meaning_are_refused(algorithm, given, expected):
    with pytest.raises(ValueError) as caught:
        checked_hyperparameters(getattr(stable_baselines3, algorithm), given)
    assert expected in str(caught.value)


def test_numbers_become_those_of_the_algorithm():
    given = {"n_steps": 1e1, "learning_rate": 1, "clip_range_vf": None, "policy_kwargs": None}
    checked = checked_hyperparameters(stable_baselines3.PPO, given)
    assert checked == {**given, "n_steps": 10}
    assert type(checked["n_steps"]) is int
    assert checked_hyperparameters(stable_baselines3.SAC, {"ent_coef": "auto_0.1"})


FITTING = ("n_steps=8", "batch_size=16", "n_epochs=1")
BEALE = next(id for id in TASKS if "Beale" in id)


def trained(capsys, *arguments):
    """Exit status of a training, and its last line."""
    command = ["--env", BEALE, "--env-kwargs", "max_steps=20", "--num-envs", "2", "-f", "runs"]
    algorithm = [] if "--algo" in arguments else ["--algo", "ppo"]
    status = main(lambda: train([*command, *algorithm, *arguments], "train_agent.py"))
    return status, capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-P", "n_timesteps=null"], "n_timesteps=None: expected an integer from 1"),
        (["-P", "n_timesteps=.inf"], "n_timesteps=inf: expected an integer from 1"),
        (["-P", "num_envs=[1]", *FITTING], ""),
        (["-P", "self=1"], "unknown hyper-parameter of PPO 'self'"),
        (["-P", "policy_kwargs={activation_fn: tanh}"], "does not accept these hyper-parameters"),
        (["--algo", "reinforce", "-P", "temperature=0"], "temperature=0: expected a positive"),
        (["--algo", "reinforce", "-P", "hidden_sizes=[-1]"], "expected a list, each element an"),
        (["--algo", "reinforce", "-P", "baseline_decay=2"], "expected a number from 0 to 1"),
    ],
)
def test_a_refused_training_leaves_nothing(arguments, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    brief = ["--n-timesteps", "40"] if not expected else []
    status, line = trained(capsys, *arguments, *brief)
    assert status == (2 if expected else 0)
    assert expected in line
    assert bool(list(tmp_path.iterdir())) is not bool(expected)


def test_a_training_that_fails_before_its_first_checkpoint_leaves_no_folder(
    tmp_path, monkeypatch, capsys
):
    def fail(self, *arguments, **more):
        raise ValueError("it cannot be learned")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stable_baselines3.PPO, "learn", fail)
    status, line = trained(capsys, "-P", *FITTING)
    assert status == 2
    assert "it cannot be learned" in line
    assert not list(tmp_path.rglob("config.json"))


def test_what_asks_for_too_much_is_one_line(capsys):
    errors = (
        MemoryError("Unable to allocate 8 TiB"),
        OverflowError("cannot convert float infinity to integer"),
        RecursionError("maximum recursion depth exceeded"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    )
    for error in errors:
        assert main(_raising(error), "train_agent.py") == 2
        assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(RuntimeError, match="a bug"):
        main(_raising(RuntimeError("a bug")), "train_agent.py")


def _raising(error):
    def run():
        raise error

    return run
