import math

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from autoloss_gym.controls import HoldSchedule
from autoloss_gym.controls.schedule import Schedule
from autoloss_gym.core.task import Control
from autoloss_gym.environment.runs import describe
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from tests.support.toy_tasks import SMALL, TwoBlocks

BASE = Schedule(weights=((1.0, 0.5), (1.0, 8.0)), step_size=(1.0, 0.25))
HELD = HoldSchedule(decide_at=(0.25, 0.5), base=BASE)
CPU = torch.device("cpu")
KEYS = torch.arange(2)


def made(num_envs=3, task=SMALL, control=HELD, **arguments):
    return AutoLossVectorEnv(task, num_envs, control=control, **arguments)


def test_an_action_shifts_the_logarithms_of_weights_and_step_size():
    control = HoldSchedule(weight_reach=2.0, step_reach=0.5, base=BASE)
    shifts = torch.tensor([[0.5, -1.0], [0.0, 0.0]])
    first, *_, last = control.controls(describe(SMALL), KEYS, shifts, 5, 11)
    # After 5 of 20 updates a quarter of the way from .5 to 8 is .5 · 16^(1/4) = 1.
    moved = np.array([1.0, math.e]) * 2 / (1 + math.e)
    np.testing.assert_allclose(first.weights, [moved, [1.0, 1.0]], rtol=1e-5)
    quarter = 0.25**0.25
    np.testing.assert_allclose(first.step_size, [quarter * math.exp(-0.5), quarter], rtol=1e-5)
    np.testing.assert_allclose(last.weights[1], np.array([1.0, 2.0]) * 2 / 3, rtol=1e-5)
    assert first.choice is None


def test_the_base_without_arguments_is_plain_training():
    (control,) = HoldSchedule().controls(describe(SMALL), KEYS, torch.zeros(2, 2), 3, 4)
    assert control.weights.tolist() == [[1.0, 1.0]] * 2
    assert control.step_size.tolist() == [1.0, 1.0]


def test_losses_that_share_no_block_are_drawn_with_the_weights_as_probabilities():
    class Separate(TwoBlocks):
        @property
        def pairs(self):
            return super().pairs[:2]

    task = Separate(max_steps=3000)
    base = Schedule(weights=((1.0, 3.0),), step_size=(1.0,))
    controls = HoldSchedule(base=base).controls(describe(task), KEYS, torch.zeros(2, 2), 0, 3000)
    chosen = np.stack([control.choice for control in controls])
    assert all(
        (control.weights.argmax(dim=1).numpy() == control.choice).all() for control in controls
    )
    # Within four standard deviations of 3/4, and different in the two runs.
    assert np.abs(chosen.mean(axis=0) - 0.75).max() < 4 * math.sqrt(0.75 * 0.25 / 3000)
    assert (chosen[:, 0] != chosen[:, 1]).any()
    later = HoldSchedule(base=base).controls(describe(task), KEYS, torch.zeros(2, 2), 1000, 1010)
    assert [c.choice.tolist() for c in later] == chosen[1000:1010].tolist()


def test_a_step_is_a_decision_and_plays_the_updates_up_to_the_next():
    envs = made()
    _, infos = envs.reset(seed=0)
    assert infos["steps"].tolist() == [5, 5, 5]
    assert infos["validation_refreshed"].all()
    _, _, ended, _, infos = envs.step(np.zeros((3, 2)))
    assert infos["inner_steps"].tolist() == [5, 5, 5]
    assert not ended.any()
    assert infos["inner_rewards"].shape == (3, 1)
    _, _, ended, _, infos = envs.step(np.zeros((3, 2)))
    assert infos["inner_steps"].tolist() == [10, 10, 10]
    assert ended.all()
    assert infos["final_info"]["steps"].tolist() == [20, 20, 20]
    assert infos["steps"].tolist() == [5, 5, 5]  # of the next episode
    assert infos["inner_validation"].shape == (3, 2, 1)


def test_a_decision_is_worth_the_sum_of_its_rewards():
    envs = made(autoreset_mode="Disabled")
    envs.reset(seed=0)
    actions = np.array([[0.5, 0.0], [-0.5, 0.3], [0.0, -0.2]], np.float32)
    envs.step(actions)
    _, rewards, _, _, infos = envs.step(actions)
    np.testing.assert_allclose(rewards, infos["inner_rewards"].sum(axis=1), rtol=1e-6)


def test_decisions_play_what_the_same_controls_play_update_by_update():
    envs = made(autoreset_mode="Disabled")
    plain = made(autoreset_mode="Disabled", control="pair")
    observed, _ = envs.reset(seed=4)
    plain.reset(seed=4)
    keys = envs._batch.runs.state.keys.run
    actions = [np.full((3, 2), value, np.float32) for value in (0.7, -0.3)]
    shifts = [torch.zeros(3, 2), *map(torch.from_numpy, actions)]
    moments = ((0, 5), (5, 10), (10, 20))
    for index, (shift, (first, last)) in enumerate(zip(shifts, moments, strict=True)):
        if index:
            observed, rewards, *_ = envs.step(actions[index - 1])
        for control in HELD.controls(describe(SMALL), keys, shift, first, last):
            expected, paid, *_ = plain.step_control(control)
        np.testing.assert_array_equal(observed, expected)
    assert rewards.shape == paid.shape


def test_decisions_can_be_made_every_so_many_updates():
    envs = made(control="schedule", control_arguments={"every": 5})
    _, infos = envs.reset(seed=0)
    assert infos["steps"].tolist() == [0, 0, 0]
    steps = [envs.step(np.zeros((3, 2)))[4]["inner_steps"][0] for _ in range(5)]
    assert steps == [5] * 5


def test_shares_that_fall_on_one_validation_are_one_decision():
    assert HoldSchedule(decide_at=(0.26, 0.27, 0.6, 0.99)).moments(describe(SMALL)) == (5, 10, 15)


def test_a_grid_of_actions_has_the_base_in_its_middle():
    control = HoldSchedule(levels=3)
    assert control.action_space(describe(SMALL)) == spaces.Discrete(9)
    shifts = control.shifts(describe(SMALL), np.array([0, 4, 5, 6]), 4, CPU)
    assert shifts.tolist() == [[-1, -1], [0, 0], [0, 1], [1, -1]]


def test_without_a_step_size_an_action_has_an_entry_for_each_pair_but_the_first():
    assert HoldSchedule(step_size=False).action_space(describe(TwoBlocks())).shape == (2,)
    assert HoldSchedule().action_space(describe(TwoBlocks())).shape == (3,)


def test_without_weights_an_action_shifts_the_step_size_alone_and_the_base_keeps_its_weights():
    control = HoldSchedule(weights=False, step_reach=0.5, base=BASE)
    assert control.action_space(describe(SMALL)).shape == (1,)
    assert HoldSchedule(weights=False).action_space(describe(TwoBlocks())).shape == (1,)
    (found,) = control.controls(describe(SMALL), KEYS, torch.tensor([[0.5], [-1.0]]), 0, 1)
    np.testing.assert_allclose(found.weights, [[4 / 3, 2 / 3]] * 2, rtol=1e-5)
    np.testing.assert_allclose(found.step_size, np.exp([0.25, -0.5]), rtol=1e-5)


def test_probabilities_that_no_action_shifts_are_drawn_as_those_of_the_base():
    base = Schedule(weights=((1.0, 3.0),), step_size=(1.0,))
    control = HoldSchedule(weights=False, draw=True, base=base)
    still = HoldSchedule(draw=True, base=base)
    found = control.controls(describe(SMALL), KEYS, torch.zeros(2, 1), 0, 9)
    expected = still.controls(describe(SMALL), KEYS, torch.zeros(2, 2), 0, 9)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.choice, theirs.choice)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decide_at": (0.5, 0.2)}, "ascending"),
        ({"decide_at": ()}, "at least one share"),
        ({"decide_at": (0.5, 1.0)}, "below 1"),
        ({"every": 7}, "a multiple of validate_every=5"),
        ({"levels": 4}, "odd number"),
        ({"levels": 99, "step_size": True, "base": None}, None),
        ({"base": {"weights": [[1, 2, 3]], "step_size": [1]}}, "each of the task's 2 pairs"),
        ({"base": {"weight": [[1, 2]]}}, "did you mean 'weights'"),
    ],
)
def test_a_bad_argument_is_one_line(arguments, message):
    if message is None:
        made(control="schedule", control_arguments=arguments)
        return
    with pytest.raises(ValueError, match=message):
        made(control="schedule", control_arguments=arguments)


def test_bad_actions_are_refused_with_the_number_of_their_environment():
    envs = made()
    envs.reset(seed=0)
    bad = np.zeros((3, 2))
    bad[1, 0] = np.nan
    with pytest.raises(ValueError, match="environments 1 "):
        envs.step(bad)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_runs_that_end_early_go_on_with_their_next_problem_as_if_alone(mode):
    task = TwoBlocks(max_steps=24, validate_every=3, patience=1)
    control = HoldSchedule(decide_at=(0.125, 0.25, 0.5, 0.75), base=None)
    arguments = {"task": task, "control": control, "autoreset_mode": mode}
    envs = made(4, **arguments)
    alone = [made(1, **arguments) for _ in range(4)]
    envs.reset(seed=0)
    for row, env in enumerate(alone):
        env.reset(seed=row)
    generator = np.random.default_rng(0)
    endings = []
    for _ in range(9):
        actions = generator.uniform(-1, 1, (4, 3)).astype(np.float32)
        batch = envs.step(actions)
        endings.append(batch[2].tolist())
        for row, env in enumerate(alone):
            single = env.step(actions[row : row + 1])
            for found, expected in zip(batch[:3], single[:3], strict=True):
                np.testing.assert_array_equal(found[row], expected[0])
            for name in ("steps", "inner_steps", "losses", "validation", "instance"):
                np.testing.assert_array_equal(batch[4][name][row], single[4][name][0])
    # Otherwise nothing was tried: some ended while others went on.
    assert any(any(row) and not all(row) for row in endings)


def test_a_snapshot_holds_the_shift_in_force():
    envs, other = made(), made()
    envs.reset(seed=0)
    envs.step(np.full((3, 2), 0.5))
    other.load_state_dict(envs.state_dict())
    np.testing.assert_array_equal(other._batch.runs.shift, np.full((3, 2), 0.5, np.float32))
    for one, two in zip(envs.step(np.zeros((3, 2))), other.step(np.zeros((3, 2))), strict=True):
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, two)


def test_a_single_environment_decides_too():
    env = gymnasium.make(
        "AutoLoss/QuadraticRegression-v1", max_steps=40, control="schedule", dimension=3
    )
    _, info = env.reset(seed=0)
    assert info["steps"] == 0  # 5 % of 8 validations rounds to none
    steps = []
    for _ in range(3):
        _, _, ended, _, info = env.step(np.zeros(2, np.float32))
        steps.append(info["inner_steps"])
    assert steps == [10, 10, 20]
    assert ended


def test_equal_seeds_are_copies_and_an_instance_names_the_problem():
    envs = made(control="pair")
    _, infos = envs.reset(seed=[7, 7, 8])
    state = envs._batch.runs.state
    assert torch.equal(state.data["truth"][0], state.data["truth"][1])
    for block in state.parameters.values():
        assert torch.equal(block[0], block[1])
    named = infos["instance"][[2, 0, 0]]
    truth = state.data["truth"].clone()
    _, infos = envs.reset(seed=5, options={"instance": named})
    assert infos["instance"].tolist() == named.tolist()
    assert torch.equal(envs._batch.runs.state.data["truth"], truth[[2, 0, 0]])
    for bad in ([1.5, 2, 3], [1, 2], "x"):
        with pytest.raises(ValueError, match="expected 3 integers"):
            envs.reset(options={"instance": bad})


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
@pytest.mark.parametrize("repeat", [1, 5])
def test_a_rollout_ends_with_the_bits_of_its_controls_one_by_one(mode, repeat):
    arguments = {"control": "pair", "autoreset_mode": mode, "repeat": repeat}
    envs, other = made(**arguments), made(**arguments)
    generator = torch.Generator().manual_seed(0)
    controls = []
    for _ in range(20 // repeat):
        weights, step_size = (torch.rand(*shape, generator=generator) for shape in ((3, 2), (3,)))
        controls.append(Control(weights=weights, step_size=step_size))
    envs.reset(seed=0)
    other.reset(seed=0)
    total = np.zeros(3, np.float32)
    for control in controls:
        *one, infos = other.step_control(control)
        total += one[1]
    *whole, rolled = envs.rollout(controls)
    np.testing.assert_array_equal(whole[1], total)
    for index in (0, 2, 3):
        np.testing.assert_array_equal(whole[index], one[index])
    for name in ("losses", "validation", "steps"):
        np.testing.assert_array_equal(rolled[name], infos[name])


def test_a_run_that_ends_within_a_rollout_stays_as_it_was_then():
    task = TwoBlocks(max_steps=24, validate_every=3, patience=1)
    arguments = {"task": task, "control": "pair", "autoreset_mode": "Disabled"}
    envs, other = made(6, **arguments), made(6, **arguments)
    weights = torch.rand(6, 3, generator=torch.Generator().manual_seed(1))
    control = Control(weights=weights, step_size=torch.linspace(0.5, 20, 6))
    envs.reset(seed=0)
    *_, ended, _, infos = envs.rollout([control] * 24)
    assert ended.all()
    assert len(set(infos["steps"].tolist())) > 1
    other.reset(seed=0)
    missing = set(range(6))
    while missing:
        *_, now, _, found = other.rollout([control] * 3)
        for row in missing & set(np.flatnonzero(now).tolist()):
            for name in ("steps", "losses", "validation", "score", "best_score"):
                np.testing.assert_array_equal(found[name][row], infos[name][row])
            missing.remove(row)
        # Those that have ended go on here, unlike above.
        other._batch.phases.finished[:] = False


def test_no_controls_are_one_line():
    envs = made(control="pair")
    envs.reset(seed=0)
    with pytest.raises(ValueError, match="controls=\\[\\]"):
        envs.rollout([])
