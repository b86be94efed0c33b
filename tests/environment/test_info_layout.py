"""Infos have the layout of a `SyncVectorEnv` of the single environment; docs/clients.md lists the
differences, which are those that `assert_layout` allows.
"""

import functools

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import autoloss_gym  # noqa: F401 (registers the ids)

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20, "validate_every": 5}


def make_pair(mode, **arguments):
    ours = gymnasium.make_vec(ID, num_envs=3, autoreset_mode=mode.value, **SMALL, **arguments)
    single = functools.partial(gymnasium.make, ID, **SMALL, **arguments)
    return ours, SyncVectorEnv([single] * 3, autoreset_mode=mode)


def assert_layout(ours: dict, sync: dict, present: np.ndarray | None = None) -> None:
    """The same keys, masks and values; where all runs have a key, ours has no mask.

    Args:
        ours: infos of the vector environment.
        sync: infos of a `SyncVectorEnv`.
        present: the mask that keys without one have there; None for all runs.
    """
    present = np.ones(3, dtype=bool) if present is None else present
    names = {name for name in sync if not name.startswith("_")}
    assert {name for name in ours if not name.startswith("_")} == names
    for name in names:
        mask = ours.get(f"_{name}", present)
        np.testing.assert_array_equal(mask, sync[f"_{name}"], err_msg=name)
        if isinstance(sync[name], dict):
            assert_layout(ours[name], sync[name], mask)
            continue
        expected = np.stack([sync[name][row] for row in np.flatnonzero(mask)])
        np.testing.assert_array_equal(ours[name][mask], expected, err_msg=name)
        assert ours[name].dtype.kind == expected.dtype.kind, name


@pytest.mark.parametrize("patience", [0, 1], ids=["in_phase", "out_of_phase"])
@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
def test_infos_have_the_layout_and_the_values_of_a_sync_vector_env(mode, patience):
    ours, sync = make_pair(mode, patience=patience, features="raw")
    assert_layout(ours.reset(seed=3)[1], sync.reset(seed=3)[1])
    ours.action_space.seed(0)
    names, masks = set(), set()
    for _ in range(45):
        actions = ours.action_space.sample()
        (*_, ended, _, infos), (*_, expected) = ours.step(actions), sync.step(actions)
        assert_layout(infos, expected)
        names |= set(infos)
        masks.add(int(ended.sum()))
        if mode is AutoresetMode.DISABLED and ended.any():
            options = {"reset_mask": ended}
            infos = ours.reset(options=dict(options))[1]
            assert_layout(infos, sync.reset(options=dict(options))[1], present=ended)
    same_step = mode is AutoresetMode.SAME_STEP
    assert ({"final_obs", "final_info"} <= names) == same_step
    assert ({"score", "_score"} <= names) == (not same_step)
    assert 3 in masks or patience
    assert bool(masks & {1, 2}) == bool(patience)  # some steps end a part of the runs


def test_runs_that_a_partial_reset_leaves_alone_are_reported_as_they_are():
    envs = gymnasium.make_vec(ID, num_envs=3, **SMALL)
    envs.reset(seed=0)
    before = envs.step(np.zeros(3, int))[4]
    infos = envs.reset(options={"reset_mask": np.array([False, True, False])})[1]
    assert infos["steps"].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(infos["losses"][[0, 2]], before["losses"][[0, 2]])


@pytest.mark.parametrize("array", ["numpy", "torch"])
@pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
def test_final_figures_stand_beside_the_infos_where_the_runs_are_not_reset_in_the_same_step(
    mode, array
):
    envs = gymnasium.make_vec(ID, num_envs=2, autoreset_mode=mode, array=array, **SMALL)
    envs.reset(seed=0)
    for _ in range(19):
        assert "score" not in envs.step(np.zeros(2, int))[4]
    observations, *_, infos = envs.step(np.zeros(2, int))
    assert infos["_score"].tolist() == infos["_diverged"].tolist() == [True, True]
    assert type(infos["score"]) is type(infos["_score"]) is type(observations)
    assert infos["steps"].tolist() == [20, 20]
