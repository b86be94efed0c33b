"""Steps with an actor do what `step` does with its actions, and blocks of runs what all do."""

import numpy as np
import pytest
import torch

from autoloss_gym import AutoLossVectorEnv, Control
from autoloss_gym.environment.programs import Programs
from tests.support.recording import assert_same, assert_same_run, play, record
from tests.support.toy_tasks import TwoBlocks

NUM_ENVS = 3
ENVIRONMENTS = {
    "pairs": {},
    "runs of many lengths": {"task": TwoBlocks(patience=1)},
    "next step": {"task": TwoBlocks(patience=1), "autoreset_mode": "NextStep"},
    "pairs and step sizes": {"control_arguments": {"step_size": True}},
    "weights, several updates": {"control": "weights", "repeat": 3, "features": "raw"},
    "steps beyond a validation": {"control": "weights", "repeat": 6},
    "relative step sizes": {"control": "step_size", "control_arguments": {"relative": True}},
    "decisions": {"control": "schedule", "control_arguments": {"every": 3}},
    "pictures": {"render_mode": "rgb_array"},
}


def actor_of(envs):
    """The most extreme action of a few random ones that depend on what is observed."""
    space = envs.single_action_space
    sizes = getattr(space, "nvec", None)

    def act(observations, noise):
        means = torch.sin(observations.sum(dim=1, keepdim=True)) + noise
        if hasattr(space, "n"):
            return means.argmax(dim=1) % int(space.n)
        if sizes is not None:
            return torch.stack([means.argmax(dim=1) % int(size) for size in sizes], dim=1)
        return means[:, : space.shape[0]]

    return act


@pytest.mark.parametrize("arguments", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_to_act_is_to_step_with_the_actions_of_the_actor(arguments):
    arguments = {"task": TwoBlocks(), "num_envs": NUM_ENVS, **arguments}
    envs, other = AutoLossVectorEnv(**arguments), AutoLossVectorEnv(**arguments)
    actor = actor_of(envs)
    generator = torch.Generator().manual_seed(0)
    observations, _ = envs.reset(seed=0)
    expected, _ = other.reset(seed=0)
    ends = 0
    for _ in range(13):
        draws = [torch.randn(NUM_ENVS, 4, generator=generator) for _ in range(envs.steps_ahead)]
        acted, (observations, *outcome) = envs.act(actor, observations, draws)
        paid = np.zeros(NUM_ENVS)
        for seen, actions, draw in zip(*acted, draws, strict=True):
            np.testing.assert_array_equal(seen, expected)
            assert torch.equal(actor(torch.from_numpy(expected), draw), actions)
            expected, *stepped = other.step(actions)
            paid += stepped[0]
        np.testing.assert_array_equal(outcome[0], paid)
        ends += outcome[1].sum()
        got = record(observations, outcome[-1], ended=outcome[1])
        assert_same(got, record(expected, stepped[-1], ended=stepped[1]))
    assert ends


def test_an_actor_looks_no_further_than_the_next_validation():
    envs = AutoLossVectorEnv(TwoBlocks(), 2)
    observations, _ = envs.reset(seed=0)
    actor = actor_of(envs)
    assert envs.steps_ahead == 3
    _, (observations, *_) = envs.act(actor, observations, [torch.zeros(2, 4)] * 2)
    assert envs.steps_ahead == 1
    for count in (0, 2):
        with pytest.raises(ValueError, match=f"{count} draws: expected 1 to 1, see steps_ahead"):
            envs.act(actor, observations, [torch.zeros(2, 4)] * count)


@pytest.mark.parametrize("good_steps", [0, 1])
def test_an_actor_that_fails_is_one_line_and_the_runs_go_on_from_there(good_steps):
    envs = AutoLossVectorEnv(TwoBlocks(), 2, control="weights")
    observations, _ = envs.reset(seed=0)
    draws = [torch.zeros(2, 3)] * good_steps + [torch.full((2, 3), torch.nan)]
    with pytest.raises(ValueError, match=r"bad action in environments 0, 1 .*finite numbers"):
        envs.act(lambda observed, noise: noise, observations, draws)
    assert envs.steps_ahead == 3 - good_steps
    *_, infos = envs.step(np.zeros((2, 3), np.float32))
    assert infos["steps"].tolist() == [good_steps + 1] * 2
    with pytest.raises(ValueError, match=r"observations of shape \(1, \d+\): expected \(2, \d+\)"):
        envs.act(lambda observed, noise: noise, observations[:1], draws[:1])


@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
@pytest.mark.parametrize("control", ["pair", "schedule"])
def test_runs_in_blocks_are_played_as_all_at_once(control, mode, monkeypatch):
    """As compiled programs play many; some end long before the others."""
    arguments = {"control": control, "autoreset_mode": mode, "features": "raw"}
    whole, parts = (AutoLossVectorEnv(TwoBlocks(patience=1), 5, **arguments) for _ in range(2))
    whole.action_space.seed(0)
    actions = [whole.action_space.sample() for _ in range(6)]
    weights = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    rolled = [Control(weights=weights, step_size=weights.mean(dim=1))] * 9

    def played(envs):
        records = play(envs, actions)
        observations, rewards, ended, _, infos = envs.rollout(rolled)
        return [*records, record(observations, infos, rewards=rewards, terminations=ended)]

    expected = played(whole)
    monkeypatch.setattr(Programs, "runs_at_once", lambda *_: 2)
    found = played(parts)
    for run in range(5):
        assert_same_run(found, run, expected, run)
    assert sum(each["terminations"].sum() for each in found[1:-1]) > 0
