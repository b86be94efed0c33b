"""Spaces of hyper-parameters."""

import inspect

import pytest

from agents.configuration import WITH_POLICY, TrainingConfiguration, hyperparameters
from agents.tuning.space import SPACES, Space, options_of

ID = "AutoLoss/QuadraticRegression-v1"


def configuration(algo, **given):
    chosen = hyperparameters(algo, ID) | given
    num_envs, n_timesteps = chosen.pop("num_envs"), chosen.pop("n_timesteps")
    return TrainingConfiguration(
        algo=algo,
        env=ID,
        env_kwargs={},
        num_envs=num_envs,
        n_timesteps=n_timesteps,
        seed=0,
        hyperparameters=chosen,
    )


def test_every_algorithm_with_a_policy_has_a_space():
    assert SPACES.keys() == set(WITH_POLICY)


@pytest.mark.parametrize("algo", WITH_POLICY)
def test_a_space_has_only_hyperparameters_of_its_algorithm(algo):
    known = inspect.signature(options_of(algo)).parameters
    assert {name.partition(".")[0] for name in SPACES[algo]} <= set(known)


@pytest.mark.parametrize("algo", WITH_POLICY)
def test_the_start_is_in_the_space_and_changes_nothing(algo):
    pytest.importorskip("optuna")
    given = configuration(algo)
    space = Space(given)
    distributions = space.distributions()
    assert space.start.keys() == distributions.keys()
    for name, distribution in distributions.items():
        internal = distribution.to_internal_repr(space.start[name])
        assert distribution._contains(internal), name
    assert space.changes(space.start) == {}
    assert space.hyperparameters(space.start) == given.hyperparameters


def test_what_a_trial_changes_is_set_and_numbers_that_are_drawn_have_three_digits():
    space = Space(configuration("ppo"))
    parameters = {
        **space.start,
        "learning_rate": 0.00123456,
        "policy_kwargs.net_arch": "[128, 128]",
    }
    changes = {"learning_rate": 0.00123, "policy_kwargs.net_arch": [128, 128]}
    assert space.changes(parameters) == changes
    chosen = space.hyperparameters(parameters)
    assert chosen["learning_rate"] == 0.00123
    assert chosen["policy_kwargs"] == {"net_arch": [128, 128]}
    assert chosen["n_steps"] == 60


def test_a_minibatch_is_never_larger_than_a_rollout():
    space = Space(configuration("ppo"))
    chosen = space.hyperparameters({**space.start, "n_steps": 15, "batch_size": 1920})
    assert chosen["batch_size"] == 15 * 64


def test_copies_divide_the_number_of_environments():
    pytest.importorskip("optuna")
    space = Space(configuration("group", num_envs=24, copies=6))
    assert space.distributions()["copies"].choices == (4, 8, 6)


@pytest.mark.parametrize("damage", [{"steps": 3}, {"n_steps": 61}])
def test_parameters_of_a_damaged_record_are_one_line(damage):
    space = Space(configuration("ppo"))
    with pytest.raises(ValueError, match="is not in the space of ppo: its record is damaged"):
        space.changes({**space.start, **damage})
