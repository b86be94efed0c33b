import numpy as np
import pytest
import torch

from autoloss_gym.environment.instances import SPLITS, Instances
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from tests.support.toy_tasks import SMALL

CPU = torch.device("cpu")


def deal(split="train", num_instances=None, num_envs=50, episodes=40, seed=0):
    """Problems and run keys (episodes, num_envs)."""
    instances = Instances(split, num_instances, num_envs, CPU)
    rows = np.arange(num_envs)
    instances.seed(rows, seed + rows)
    dealt = [instances.next_episode(rows) for _ in range(episodes)]
    return np.stack([keys.problem.numpy() for keys in dealt]), np.stack(
        [keys.run.numpy() for keys in dealt]
    )


@pytest.mark.parametrize("num_instances", [None, 3])
def test_problems_of_different_splits_are_disjoint(num_instances):
    problems = [set(deal(split, num_instances)[0].flat) for split in SPLITS]
    assert len(set.union(*problems)) == sum(map(len, problems)) > 0


def test_every_episode_of_every_run_is_a_new_problem_with_draws_of_its_own():
    problems, runs = deal()
    assert len({*problems.flat, *runs.flat}) == 2 * 50 * 40


@pytest.mark.parametrize("num_instances", [1, 2, 10])
def test_num_instances_is_the_number_of_problems_that_are_ever_met(num_instances):
    problems, runs = deal(num_instances=num_instances)
    assert len(set(problems.flat)) == num_instances
    assert len(set(runs.flat)) == 50 * 40


def test_instances_are_met_about_equally_often():
    counts = np.unique(deal(num_instances=4)[0], return_counts=True)[1]
    assert (
        (counts - 500) ** 2 / 500
    ).sum() < 16.3  # the 99.9 % point of chi² with 3 degrees of freedom


def test_the_fixed_problems_do_not_depend_on_the_seed():
    assert set(deal(num_instances=3, seed=0)[0].flat) == set(
        deal(num_instances=3, seed=10**6)[0].flat
    )


@pytest.mark.parametrize("num_instances", [None, 3])
def test_a_seed_meets_the_same_problems_whatever_the_number_of_runs(num_instances):
    problems, runs = deal(num_instances=num_instances, seed=5)
    for i in (0, 17, 49):
        alone = deal(num_instances=num_instances, num_envs=1, seed=5 + i)
        assert np.array_equal(alone[0][:, 0], problems[:, i])
        assert np.array_equal(alone[1][:, 0], runs[:, i])


def test_the_next_episode_of_one_run_leaves_its_neighbours_at_theirs():
    instances, expected = Instances("train", None, 2, CPU), deal(num_envs=2, episodes=3)[0]
    both = np.arange(2)
    instances.seed(both, both)
    instances.next_episode(both)
    assert instances.next_episode(np.array([1])).problem.tolist() == [expected[1, 1]]
    assert instances.next_episode(both).problem.tolist() == [expected[1, 0], expected[2, 1]]


def test_seeding_one_run_starts_it_over_and_no_other():
    instances, expected = Instances("train", None, 2, CPU), deal(num_envs=2, episodes=2)[0]
    both = np.arange(2)
    instances.seed(both, both)
    instances.next_episode(both)
    instances.seed(np.array([0]), np.array([0]))
    assert instances.next_episode(both).problem.tolist() == [expected[0, 0], expected[1, 1]]


def test_keys_name_their_split():
    assert Instances("validation", None, 1, CPU).next_episode(np.array([0])).split == "validation"


def test_an_unknown_split_or_no_instances_are_refused():
    with pytest.raises(
        ValueError, match="split='dev': expected one of 'train', 'validation', 'test'"
    ):
        Instances("dev", None, 1, CPU)
    with pytest.raises(ValueError, match="num_instances=0: expected an integer of at least 1"):
        Instances("train", 0, 1, CPU)


@pytest.mark.parametrize("control", ["pair", "schedule"])
def test_copies_begin_as_they_would_alone_and_go_their_own_ways(control):
    arguments = {"control": control, "autoreset_mode": "Disabled"}
    envs = AutoLossVectorEnv(SMALL, 5, **arguments)
    observed, _ = envs.reset(seed=[3, 8, 3, 8, 3])
    shape = envs.action_space.shape
    actions = np.arange(5) % 2 if control == "pair" else np.linspace(-1, 1, 10).reshape(shape)
    after = envs.step(actions)[0]
    assert (after[0] != after[2]).any() or control == "pair"
    for row, seed in enumerate([3, 8, 3, 8, 3]):
        alone = AutoLossVectorEnv(SMALL, 1, **arguments)
        np.testing.assert_array_equal(alone.reset(seed=seed)[0][0], observed[row])
        np.testing.assert_array_equal(alone.step(actions[row : row + 1])[0][0], after[row])
