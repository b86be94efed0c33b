"""The online controller as a policy of many runs."""

import copy
import math

import numpy as np
import pytest
import torch

from agents.evaluation.rollout import rollout
from autoloss_gym import AutoLossVectorEnv, Scheduler
from autoloss_gym.controllers.online.settings import OnlineSettings
from autoloss_gym.controllers.policies.online_ppo import OnlinePPO
from autoloss_gym.core.task import Metric
from tests.support.toy_tasks import Fragile, TwoBlocks

QUICK = OnlineSettings(buffer=20, batch=8, epochs=2, segment=2)


def policy_of(settings=QUICK, num_pairs=2, metric=None):
    return OnlinePPO("online_ppo", num_pairs, metric or Metric("error"), settings)


class Told:
    """What runs of given numbers are told: a function of the run and the step alone."""

    def __init__(self, runs, width=5):
        self.runs, self.width = np.asarray(runs), width

    def at(self, step):
        rows = [np.random.default_rng([int(run), step]) for run in self.runs]
        observations = np.array([each.normal(size=self.width) for each in rows], np.float32)
        validation = np.array([[each.uniform(1, 2)] for each in rows], np.float32)
        return observations, {"steps": np.full(len(rows), step), "validation": validation}


def play(policy, told, steps):
    return [policy.act(*told.at(step)).choice for step in steps]


def weights(policy):
    return policy._learner.parameters


def test_it_learns_which_of_two_pairs_lowers_the_error():
    runs, steps = 8, 800
    policy = policy_of(OnlineSettings(segment=1))
    policy.reset(np.arange(runs))
    error, good = np.full(runs, 100.0), []
    for step in range(steps):
        observations = np.full((runs, 3), step / steps, np.float32)
        infos = {"steps": np.full(runs, step), "validation": error[:, None].astype(np.float32)}
        control = policy.act(observations, infos)
        good.append(control.choice == 1)
        error = error - 0.1 * good[-1]
    assert np.mean(good[:50]) == pytest.approx(0.5, abs=0.15)  # nothing is learned yet
    assert np.mean(good[-100:]) > 0.85
    assert np.mean(good[-100:], axis=0).min() > 0.6  # in every run


@pytest.mark.parametrize(("num_pairs", "width"), [(2, 5), (3, 16), (5, 33)])
def test_a_run_alone_has_the_bits_of_the_run_in_a_batch(num_pairs, width):
    seeds = np.arange(10, 17)
    together = policy_of(num_pairs=num_pairs)
    together.reset(seeds)
    choices = np.array(play(together, Told(seeds, width), range(90)))
    for row in (0, 4, 6):
        alone = policy_of(num_pairs=num_pairs)
        alone.reset(seeds[row : row + 1])
        own = np.array(play(alone, Told(seeds[row : row + 1], width), range(90)))
        assert (own[:, 0] == choices[:, row]).all()
        assert torch.equal(weights(alone)[0], weights(together)[row])
    begun = policy_of(num_pairs=num_pairs)
    begun.reset(seeds)
    play(begun, Told(seeds, width), range(1))
    assert (weights(begun) != weights(together)).any(dim=1).all()  # they have learned
    assert len({tuple(column) for column in choices.T}) == len(seeds)


@pytest.mark.parametrize("worst", [math.inf, 10.0])
@pytest.mark.parametrize("broken", [math.inf, math.nan, 3e38])
def test_weights_stay_finite_and_neighbours_the_same_where_validations_are_not_finite(
    worst, broken
):
    seeds, metric = np.arange(3), Metric("error", worst=worst)
    policy, neighbour = policy_of(metric=metric), policy_of(metric=metric)
    policy.reset(seeds)
    neighbour.reset(seeds[:1])
    choices = []
    for step in range(100):
        observations, infos = Told(seeds).at(step)
        own = observations[:1].copy(), {name: each[:1].copy() for name, each in infos.items()}
        observations[1:, 0] = broken
        infos["validation"][1] = broken
        infos["validation"][2] = broken if step % 3 else 1.0
        if step == 1:
            begun = weights(policy).clone()
        choices.append(policy.act(observations, infos).choice)
        neighbour.act(*own)
    assert torch.isfinite(weights(policy)).all()
    assert (weights(policy) != begun).any(dim=1).all()
    assert 20 < np.sum(choices, axis=0).min() <= np.sum(choices, axis=0).max() < 80
    assert torch.equal(weights(policy)[0], weights(neighbour)[0])


@pytest.mark.parametrize("length", [0, 1, 33, 40, 41])
def test_it_goes_on_from_its_state_bit_for_bit(length):
    seeds = np.array([4, 9])
    whole, again = policy_of(), policy_of()
    whole.reset(seeds)
    before = play(whole, Told(seeds), range(length))
    state = copy.deepcopy(whole.state_dict())
    after = play(whole, Told(seeds), range(length, 100))
    again.reset(seeds)
    again.load_state_dict(state)
    resumed = play(again, Told(seeds), range(length, 100))
    np.testing.assert_array_equal(after, resumed)
    assert torch.equal(weights(whole), weights(again))
    assert len(before) == length


def test_a_state_is_not_changed_by_what_follows():
    policy = policy_of()
    policy.reset(np.arange(2))
    play(policy, Told(np.arange(2)), range(30))
    state = policy.state_dict()
    kept = copy.deepcopy(state)
    play(policy, Told(np.arange(2)), range(30, 70))
    for name, value in kept["transitions"].items():
        assert np.array_equal(value, state["transitions"][name])
    assert torch.equal(kept["learner"]["parameters"], state["learner"]["parameters"])
    np.testing.assert_array_equal(kept["gains"]["past"], state["gains"]["past"])


def test_a_run_that_has_ended_learns_no_more_and_the_others_go_on():
    seeds = np.arange(2)
    policy, whole = policy_of(), policy_of()
    policy.reset(seeds)
    whole.reset(seeds)
    play(policy, Told(seeds), range(30))
    play(whole, Told(seeds), range(30))
    ended = weights(policy)[1].clone()
    for step in range(30, 90):
        observations, infos = Told(seeds).at(step)
        whole.act(observations, infos)
        infos["steps"] = np.array([step, step - 30])  # the second run has begun anew
        policy.act(observations, infos)
    assert torch.equal(weights(policy)[1], ended)
    assert torch.equal(weights(policy)[0], weights(whole)[0])
    assert not torch.equal(weights(whole)[1], ended)


def test_what_was_learned_already_makes_the_next_choice():
    seeds, told = np.arange(4), Told(np.arange(4))
    policy = policy_of()
    policy.reset(seeds)
    play(policy, told, range(QUICK.buffer))
    before, _ = policy._learner.evaluate(torch.from_numpy(told.at(QUICK.buffer)[0]))
    (choice,) = play(policy, told, [QUICK.buffer])
    after, values = policy._learner.evaluate(torch.from_numpy(told.at(QUICK.buffer)[0]))
    rows = np.arange(4), choice
    assert torch.equal(policy._transitions.logs[:, 0], after[rows])
    assert torch.equal(policy._transitions.values[:, 0], values)
    assert not torch.equal(after[rows], before[rows])


def test_reset_begins_with_new_networks():
    policy = policy_of()
    policy.reset(np.arange(2))
    first = play(policy, Told(np.arange(2)), range(50))
    policy.reset(np.arange(2))
    np.testing.assert_array_equal(first, play(policy, Told(np.arange(2)), range(50)))


def test_it_plays_environments_whatever_their_reward_and_where_runs_diverge():
    for task in (TwoBlocks(max_steps=60), Fragile(max_steps=60)):
        metric = task.validation_metrics[0]
        policy = policy_of(num_pairs=len(task.pairs), metric=metric)
        of_reward = []
        for reward in ("shaped", "final"):
            (episodes,) = rollout(
                [policy],
                lambda num_envs, task=task, reward=reward, **more: AutoLossVectorEnv(
                    task, num_envs, reward=reward
                ),
                np.arange(6),
            )
            of_reward.append(episodes.best_scores)
            assert torch.isfinite(weights(policy)).all()
        np.testing.assert_array_equal(*of_reward)
    assert episodes.figures["diverged"].any()


def test_a_loop_of_ones_own_has_no_observations_for_it():
    with pytest.raises(ValueError, match="it learns from an environment's observations") as caught:
        Scheduler(policy_of(), losses=("a", "b"), max_steps=10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("buffer", 0, "buffer=0: expected an integer of at least 1"),
        ("gamma", 1.5, "gamma=1.5: expected a number from 0 to 1"),
        ("clip", 1.0, "clip=1.0: expected a number of at least 0 and below 1"),
        ("floor", 0.0, "floor=0.0: expected a positive"),
        ("learning_rate", math.nan, "learning_rate=nan: expected a positive"),
    ],
)
def test_settings_out_of_bounds_are_one_line(name, value, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        OnlineSettings(**{"segment": 1, name: value})
    assert "\n" not in str(caught.value)
