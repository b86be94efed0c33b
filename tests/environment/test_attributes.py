"""Attributes and methods of each run by name, as `SyncVectorEnv` has them."""

import functools

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import SyncVectorEnv

from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from tests.support.toy_tasks import Painter

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20, "render_mode": "rgb_array"}


def make(**arguments):
    envs = gymnasium.make_vec(ID, num_envs=3, **(SMALL | arguments))
    envs.reset(seed=0)
    return envs


@pytest.fixture
def sync():
    envs = SyncVectorEnv([functools.partial(gymnasium.make, ID, **SMALL)] * 3)
    envs.reset(seed=0)
    return envs


@pytest.mark.parametrize("name", ["render", "diagnostics"])
def test_a_call_gives_the_results_that_a_sync_vector_env_gives(name, sync):
    envs = make()
    for each in (envs, sync):
        each.step(np.array([0, 1, 0]))
    ours, theirs = envs.call(name), sync.call(name)
    assert isinstance(ours, tuple)
    assert len(ours) == 3
    assert data_equivalence(ours, theirs, exact=True)


@pytest.mark.parametrize(
    "name", ["observation_space", "action_space", "render_mode", "metadata", "task"]
)
def test_an_attribute_is_that_of_a_sync_vector_env(name, sync):
    ours, theirs = make().get_attr(name), sync.get_attr(name)
    if name == "metadata":
        ours = tuple({**each, "autoreset_mode": None} for each in ours)
        theirs = tuple({**each, "autoreset_mode": None} for each in theirs)
    assert ours == theirs


def test_without_a_render_mode_the_picture_of_each_run_is_none():
    assert make(render_mode=None).call("render") == (None, None, None)


def test_arguments_reach_the_method():
    envs = AutoLossVectorEnv(Painter(), 2, array="torch")
    envs.reset(seed=0)
    first, second = envs.call("samples", count=5)
    assert first.shape == second.shape == envs.samples(5).shape[1:]
    assert (first == envs.samples(5)[0]).all()
    assert len(envs.call("scores")) == 2


@pytest.mark.parametrize("name", ["reset", "step", "state_dict", "close"])
def test_a_method_of_the_whole_batch_is_refused(name):
    with pytest.raises(ValueError, match=rf"^'{name}' is a method of the whole batch: .+$"):
        make().call(name)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        make().get_attr("no_such_name")


@pytest.mark.parametrize(
    ("values", "expected"), [(7, (7, 7, 7)), ([1, 2, 3], (1, 2, 3)), ((1, 2, 3), (1, 2, 3))]
)
def test_an_attribute_that_is_set_is_given_back_as_by_a_sync_vector_env(values, expected, sync):
    envs, other = make(), make()
    for each in (envs, sync):
        each.set_attr("level", 0)
        each.set_attr("level", values)
        assert each.get_attr("level") == expected
    with pytest.raises(AttributeError):
        other.get_attr("level")


def test_what_the_environment_was_made_with_cannot_be_set():
    envs = make()
    with pytest.raises(ValueError, match=r"^'num_envs' holds for all runs .+ other arguments$"):
        envs.set_attr("num_envs", 5)
    assert envs.num_envs == 3


def test_a_wrong_number_of_values_is_refused():
    with pytest.raises(ValueError, match=r"^2 values of 'level': expected .+ num_envs=3$"):
        make().set_attr("level", [1, 2])


def test_gymnasium_is_among_the_direct_bases_where_skrl_looks_for_it():
    assert gymnasium.vector.VectorEnv in AutoLossVectorEnv.__bases__
