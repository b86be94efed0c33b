"""Groups of features that are added: what an environment has to keep for them, and when."""

import gymnasium
import numpy as np
import pytest
import torch

from autoloss_gym import AutoLossEnv, AutoLossVectorEnv
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import Control, Task
from autoloss_gym.tools import tree
from tests.support.recording import play
from tests.support.toy_tasks import SMALL, TwoBlocks

ALL = ("sizes", "sparsity", "gap", "best", "gradient_noise", "gradient_cosines", "shift")
GRADIENTS = ("gradient_noise", "gradient_cosines")
BLOCKS = TwoBlocks(max_steps=20, validate_every=5)
VARIANTS = {
    "regression": {"task": SMALL, "add": ALL[:-1]},
    "schedule": {"task": SMALL, "add": ALL, "control": "schedule"},
    "blocks": {"task": BLOCKS, "add": GRADIENTS, "control": "weights"},
    "repeated": {"task": BLOCKS, "add": GRADIENTS, "control": "weights", "repeat": 5},
    "out_of_phase": {"task": SMALL, "add": ALL, "control": "schedule", "autoreset_mode": "NextStep"},
}  # fmt: skip
each_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())


def made(num_envs: int = 3, **arguments) -> AutoLossVectorEnv:
    return AutoLossVectorEnv(num_envs=num_envs, **({"task": SMALL, "features": "log"} | arguments))


def actions_for(envs: AutoLossVectorEnv, steps: int = 12) -> np.ndarray:
    envs.action_space.seed(0)
    return np.stack([envs.action_space.sample() for _ in range(steps)])


@each_variant
def test_a_run_alone_sees_the_same_bits_as_in_a_batch(variant):
    together = made(4, **variant)
    actions = actions_for(together, 5)
    records = play(together, actions)
    for i in (0, 3):
        alone = play(made(1, **variant), actions[:, i : i + 1], seed=i)
        for one, other in zip(records, alone, strict=True):
            np.testing.assert_array_equal(one["observations"][i], other["observations"][0])


@each_variant
def test_a_saved_state_goes_on_with_the_same_observations(variant):
    envs, other = made(**variant), made(**variant)
    actions = actions_for(envs)
    play(envs, actions[:3])
    other.reset(seed=9)
    other.load_state_dict(envs.state_dict())
    for action in actions[3:6]:
        one, two = envs.step(action)[0], other.step(action)[0]
        np.testing.assert_array_equal(one, two)


@each_variant
def test_resetting_one_run_leaves_what_its_neighbours_see(variant):
    envs, twin = made(**variant), made(**variant)
    actions = actions_for(envs, 3)
    before = play(envs, actions[:1])[-1]
    play(twin, actions[:1])
    after = envs.reset(options={"reset_mask": np.array([False, True, False])})[0]
    np.testing.assert_array_equal(after[[0, 2]], before["observations"][[0, 2]])
    one, other = envs.step(actions[1])[0], twin.step(actions[1])[0]
    np.testing.assert_array_equal(one[[0, 2]], other[[0, 2]])


def test_a_rollout_shows_what_its_controls_show_one_by_one():
    envs, other = (made(task=BLOCKS, add=GRADIENTS, control="weights") for _ in range(2))
    weights = torch.rand(13, 3, 3, generator=torch.Generator().manual_seed(0))
    controls = [Control(weights=each, step_size=torch.ones(3)) for each in weights]
    envs.reset(seed=0)
    other.reset(seed=0)
    for control in controls:
        seen = other.step_control(control)[0]
    np.testing.assert_array_equal(envs.rollout(controls)[0], seen)


def test_gradient_noise_compares_the_last_update_with_the_next():
    envs = made(1, task=BLOCKS, add=("gradient_noise",), drop=("extra",), control="weights")
    observations, _ = envs.reset(seed=3)
    assert observations[0, -3:] == pytest.approx(np.ones(3))
    state = tree.clone(envs._batch.runs.state)
    last = BLOCKS.gradients(state)
    control = envs.control(envs.description, np.zeros((1, 3)), 1, envs.device)
    state, _ = BLOCKS.update(state, control)
    seen = envs.step(np.zeros((1, 3), np.float32))[0][0, -3:]
    for old, new, cosine in zip(last, BLOCKS.gradients(state), seen, strict=True):
        vectors = [torch.cat([*each.values()], dim=1) for each in (old, new)]
        assert cosine == pytest.approx(torch.cosine_similarity(*vectors).item(), abs=1e-5)


def test_gradients_of_a_task_are_those_whose_norms_it_measures():
    state = made(task=BLOCKS)._batch.runs.state
    gradients, norms = BLOCKS.gradients(state), BLOCKS.measure(state).gradient_norms
    for pair, gradient, norm in zip(BLOCKS.pairs, gradients, norms.unbind(1), strict=True):
        assert tuple(gradient) == pair.blocks
        vector = torch.cat([*gradient.values()], dim=1)
        torch.testing.assert_close(vector.square().mean(dim=1).sqrt(), norm)


def test_gradients_are_computed_only_when_they_are_asked_for(monkeypatch):
    calls = []
    computed = GradientTask.gradients
    monkeypatch.setattr(
        GradientTask, "gradients", lambda task, state: calls.append(1) or computed(task, state)
    )
    for groups, expected in ((ALL[:4], 0), (GRADIENTS[1:], 3), (GRADIENTS, 4)):
        envs = made(add=groups)
        envs.reset(seed=0)
        calls.clear()
        for _ in range(2):
            envs.step(np.zeros(3, int))
        envs.rollout([Control(weights=torch.ones(3, 2), step_size=torch.ones(3))] * 2)
        assert len(calls) == expected, groups


def test_the_shift_is_the_last_action_and_zero_before_the_first():
    envs = made(control="schedule", add=("shift",), control_arguments={"every": 5})
    observations, _ = envs.reset(seed=0)
    assert not observations[:, -2:].any()
    for action in actions_for(envs, 3):
        observations = envs.step(action)[0]
        np.testing.assert_array_equal(observations[:, -2:], action)
    observations, *_, infos = envs.step(action)
    np.testing.assert_array_equal(np.stack(infos["final_obs"])[:, -2:], action)
    assert not observations[:, -2:].any()


def test_the_box_has_the_bounds_of_its_scaling_and_one_env_takes_the_same_arguments():
    for features, bound in (("scaled", 1), ("log", 20), ("raw", 1e6)):
        envs = AutoLossEnv(SMALL, features=features, add="gap")
        assert envs.observation_space.high.tolist() == [bound] * 12
        assert envs.reset(seed=0)[0] in envs.observation_space
    made_by_id = gymnasium.make("AutoLoss/QuadraticRegression-v1", add=["sizes", "gap"])
    assert made_by_id.observation_space.shape == (13,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"add": ("shift",)}, r"add=\['shift'\]: ChoosePair holds no shift.*control='schedule'"),
        ({"add": ("gap",), "task": BLOCKS}, r"add=\['gap'\]: no validation metric"),
        ({"add": "gapp"}, r"add=\['gapp'\]: expected some of sizes"),
    ],
)
def test_a_group_that_cannot_be_is_one_line(arguments, message):
    with pytest.raises(ValueError, match=message):
        made(**arguments)


def test_a_task_without_gradients_says_so(monkeypatch):
    monkeypatch.setattr(TwoBlocks, "gradients", Task.gradients)
    with pytest.raises(ValueError, match="TwoBlocks gives no gradients"):
        made(task=BLOCKS, add=GRADIENTS)
    assert made(task=BLOCKS, add=("sizes",)).reset(seed=0)
