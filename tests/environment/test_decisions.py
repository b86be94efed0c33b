import gymnasium
import numpy as np
import pytest
import torch

from autoloss_gym.controls import HoldSchedule
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Control
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.optimizers import Adam
from tests.support.toy_tasks import SMALL, TwoBlocks

BASE = Schedule(weights=((1.0, 0.5), (1.0, 8.0)), step_size=(1.0, 0.25))
HELD = HoldSchedule(decide_at=(0.25, 0.5), base=BASE)  # after 5 and 10 of 20 updates
# Its runs end early, each at another validation.
IMPATIENT = TwoBlocks(max_steps=24, validate_every=3, patience=1)
OFTEN = HoldSchedule(decide_at=(0.125, 0.25, 0.5, 0.75))
INNER = ("inner_steps", "inner_rewards", "inner_validation", "inner_shares")


def made(num_envs=3, task=SMALL, control=HELD, **arguments):
    return AutoLossVectorEnv(task, num_envs, control=control, **arguments)


def assert_same_run(found, expected, row):
    """Run `row` of a step or reset is the only run of another."""
    for one, other in zip(found[:-1], expected[:-1], strict=True):
        np.testing.assert_array_equal(one[row], other[0])
    for name in ("steps", "losses", "validation", "instance", "inner_steps", "inner_shares"):
        np.testing.assert_array_equal(found[-1][name][row], expected[-1][name][0])


def test_repeated_controls_are_refused_in_a_line_that_names_the_control():
    with pytest.raises(ValueError, match=r"repeat=5 with control='schedule': expected 1") as caught:
        made(repeat=5)
    assert "\n" not in str(caught.value)


def test_a_step_that_only_resets_has_the_same_infos_without_an_update():
    envs = made(autoreset_mode="NextStep")
    envs.reset(seed=0)
    actions = np.zeros((3, 2))
    envs.step(actions)
    *_, ended, _, infos = envs.step(actions)
    assert ended.all()
    _, rewards, ended, _, after = envs.step(actions)
    assert not ended.any()
    assert set(INNER) <= set(after) & set(infos)
    assert after["inner_steps"].tolist() == rewards.tolist() == [0, 0, 0]
    assert (after["inner_shares"] == 0).all()
    assert after["inner_rewards"].shape == (3, 0)
    assert after["inner_validation"].shape == (3, 0, 1)
    assert after["steps"].tolist() == [5, 5, 5]  # the base up to the first decision


def test_resetting_a_run_in_mid_episode_leaves_its_neighbours_where_they_were():
    envs, alone = made(), [made(1) for _ in range(3)]
    actions = np.random.default_rng(0).uniform(-1, 1, (4, 3, 2)).astype(np.float32)
    envs.reset(seed=0)
    envs.step(actions[0])
    for row, env in enumerate(alone):
        env.reset(seed=row)
        single = env.step(actions[0][row : row + 1])
    mask = np.array([False, True, False])
    _, infos = envs.reset(seed=[None, 9, None], options={"reset_mask": mask})
    assert infos["inner_steps"].tolist() == [0, 5, 0]
    assert (infos["inner_shares"].sum(axis=1) > 0).tolist() == mask.tolist()
    assert infos["validation_refreshed"].tolist() == mask.tolist()
    alone[1].reset(seed=9)
    # The runs are now at different decisions, and some end while others go on.
    for chosen in actions[1:]:
        batch = envs.step(chosen)
        for row, env in enumerate(alone):
            single = env.step(chosen[row : row + 1])
            assert_same_run(batch, single, row)


def test_with_autoreset_disabled_a_run_that_has_ended_waits_for_its_reset():
    arguments = {"task": IMPATIENT, "control": OFTEN, "autoreset_mode": "Disabled"}
    envs, alone = made(6, **arguments), [made(1, **arguments) for _ in range(6)]
    generator = np.random.default_rng(0)
    envs.reset(seed=0)
    for row, env in enumerate(alone):
        env.reset(seed=row)
    was_mixed = False
    for _ in range(8):
        actions = generator.uniform(-1, 1, (6, 3)).astype(np.float32)
        batch, ended = envs.step(actions), []
        for row, env in enumerate(alone):
            single = env.step(actions[row : row + 1])
            assert_same_run(batch, single, row)
            ended.append(bool(single[2][0]))
        assert batch[2].tolist() == ended
        if any(ended):
            was_mixed = was_mixed or not all(ended)
            with pytest.raises(gymnasium.error.ResetNeeded, match="have ended"):
                envs.step(actions)
            begun = envs.reset(options={"reset_mask": np.array(ended)})
            for row in np.flatnonzero(ended):
                assert_same_run(begun, alone[row].reset(), row)
    assert was_mixed


def test_no_run_ends_before_its_first_decision_and_none_is_paid_for_it():
    task = TwoBlocks(max_steps=24, validate_every=3, patience=1, optimizer=Adam(learning_rate=1.0))
    control = HoldSchedule(decide_at=(0.5,))
    envs, plain = made(6, task, control), made(6, task, "weights", autoreset_mode="Disabled")
    plain.reset(seed=0)
    base = Control(weights=torch.ones(6, 3), step_size=torch.ones(6))
    *_, infos = plain.rollout([base] * 12)
    assert (infos["steps"] < 12).any()  # otherwise nothing is tried
    _, infos = envs.reset(seed=0)
    assert infos["steps"].tolist() == [12] * 6
    _, rewards, ended, _, infos = envs.step(np.zeros((6, 3)))
    assert ended.all()
    np.testing.assert_allclose(rewards, np.nansum(infos["inner_rewards"], axis=1), rtol=1e-5)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_a_picture_of_decisions_shows_every_update_and_changes_none(mode):
    arguments = {"task": IMPATIENT, "control": OFTEN, "autoreset_mode": mode}
    envs, drawn = made(4, **arguments), made(4, render_mode="rgb_array", **arguments)
    generator = np.random.default_rng(1)
    envs.reset(seed=0)
    drawn.reset(seed=0)
    for _ in range(5):
        actions = generator.uniform(-1, 1, (4, 3)).astype(np.float32)
        before = drawn._batch.phases.elapsed.copy()
        *one, infos = envs.step(actions)
        *other, found = drawn.step(actions)
        for expected, values in zip(one, other, strict=True):
            np.testing.assert_array_equal(values, expected)
        weights = drawn._pictures._trace._weights
        for row in np.flatnonzero(~one[2]):
            count = infos["inner_steps"][row]
            shown = weights[before[row] + 1 : before[row] + 1 + count, row]
            shares = (shown / shown.sum(axis=1, keepdims=True)).mean(axis=0) if count else 0
            np.testing.assert_allclose(found["inner_shares"][row], shares, rtol=1e-4)
    assert {picture.shape for picture in drawn.render()} == {(400, 600, 3)}


def test_after_single_updates_a_decision_plays_what_is_left_up_to_the_next():
    envs = made(autoreset_mode="Disabled")
    envs.reset(seed=0)
    *_, infos = envs.step_control(Control(weights=torch.ones(3, 2), step_size=torch.ones(3)))
    assert infos["steps"].tolist() == [6, 6, 6]
    *_, infos = envs.step(np.zeros((3, 2)))
    assert infos["steps"].tolist() == [10, 10, 10]
    assert infos["inner_steps"].tolist() == [4, 4, 4]
    *_, infos = envs.rollout([Control(weights=torch.ones(3, 2), step_size=torch.ones(3))] * 2)
    *_, ended, _, infos = envs.step(np.zeros((3, 2)))
    assert infos["inner_steps"].tolist() == [8, 8, 8]
    assert ended.all()
