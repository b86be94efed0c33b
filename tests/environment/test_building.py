"""A task by the name of its class, of a function that makes it, or of itself."""

import gymnasium
import pytest

from autoloss_gym import AutoLossVectorEnv, register_task
from autoloss_gym.tools.signatures import task_signature

MODULE = '''
"""Tasks of a user."""
from torch import nn
from autoloss_gym import from_module

def fit(model, batch):
    return (model(batch["x"]) - 1).square().mean()

def problem(generator):
    import torch
    return {"x": torch.randn(10, 1, generator=generator)}

def make_task(units=1, **options):
    """A line."""
    return from_module(
        lambda: nn.Linear(units, 1), {"fit": fit}, validation=fit, data=problem, **options
    )

def make_plain(learning_rate=0.5):
    return from_module(lambda: nn.Linear(1, 1), {"fit": fit}, validation=fit, data=problem)

def make_nothing():
    return 3

task = make_task(max_steps=20)
number = 3
'''


@pytest.fixture(autouse=True)
def users_module(tmp_path, monkeypatch):
    (tmp_path / "users_modules.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", ["make_task", "make_plain", "task"])
def test_a_function_or_an_object_takes_the_place_of_a_class(name):
    arguments = {"max_steps": 40, "learning_rate": 0.25}
    envs = AutoLossVectorEnv(f"users_modules:{name}", num_envs=2, **arguments)
    assert envs.task.max_steps == 40
    assert envs.task.optimizer.learning_rate == 0.25
    envs.reset(seed=0)
    envs.step([0, 0])


def test_registered_it_has_an_id_for_gymnasium():
    register_task("Users/Line-v0", "users_modules:make_task", max_steps=30)
    try:
        assert gymnasium.make("Users/Line-v0").unwrapped.task.max_steps == 30
        assert gymnasium.make_vec("Users/Line-v0", num_envs=2, max_steps=10).task.max_steps == 10
    finally:
        del gymnasium.registry["Users/Line-v0"]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("make_plain", {"max_step": 3}, "unexpected keyword argument 'max_step'.*'max_steps'"),
        ("task", {"max_step": 3}, "unexpected keyword argument 'max_step'.*'max_steps'"),
        ("task", {"preset": "small"}, "unknown preset 'small'"),
        ("make_nothing", {}, "the function returned 3; expected an autoloss_gym.Task"),
        ("number", {}, "'number' is not one, but 3"),
        ("nothing", {}, "expected 'module:Class', or the name of a task or of a function"),
    ],
)
def test_mistakes_are_told_in_one_line(name, arguments, message):
    with pytest.raises(ValueError, match=message) as told:
        AutoLossVectorEnv(f"users_modules:{name}", **arguments)
    assert "\n" not in str(told.value)


def test_its_signature_is_read_without_an_import():
    signature = task_signature("users_modules:make_task")
    assert signature.summary == "A line."
    assert signature.arguments == {"units": "1"}
    assert task_signature("users_modules:task").summary == "Tasks of a user."
