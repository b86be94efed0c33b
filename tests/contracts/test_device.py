"""What must hold on every device.

`pytest tests/contracts/test_device.py --device cuda` runs all of this on a GPU.
"""

import gymnasium
import numpy as np
import pytest
import torch

from agents.configuration import TrainingConfiguration
from agents.environments import EnvironmentMaker
from agents.evaluation.rollout import rollout
from agents.learners.learner import make_learner
from autoloss_gym import check_task, random
from autoloss_gym.controllers.policies.static import Ratio
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.registration import TASKS
from tests.support.recording import play
from tests.support.toy_tasks import SMALL, Fragile, TwoBlocks
from tests.support.variants import GAN, INTRO_VAE, TRANSLATION, arguments_of
from tests.support.variants import SMALL as SMALL_TASKS

VARIANTS = {
    "closed_forms": {"task": SMALL},
    "automatic": {"task": TwoBlocks(max_steps=20, validate_every=5, cheap=False)},
    "weights": {
        "task": TwoBlocks(max_steps=20, validate_every=5),
        "control": "weights",
        "features": "raw",
    },
    "diverging": {"task": Fragile()},
}
ID = "AutoLoss/QuadraticRegression-v1"
ARGUMENTS = {"dimension": 4, "num_samples": 20, "max_steps": 20}


def actions_for(envs, steps):
    envs.action_space.seed(0)
    return [envs.action_space.sample() for _ in range(steps)]


def test_draws_are_those_of_the_cpu(device):
    keys = random.fold_in(torch.arange(5), "device")
    there = keys.to(device)
    assert torch.equal(random.bits(there, 7).cpu(), random.bits(keys, 7))
    assert torch.equal(random.uniform(there, (3, 2)).cpu(), random.uniform(keys, (3, 2)))
    assert torch.equal(random.permutation(there, 9).cpu(), random.permutation(keys, 9))
    torch.testing.assert_close(random.normal(there, (5,)).cpu(), random.normal(keys, (5,)))


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
def test_runs_agree_with_those_on_the_cpu_over_an_episode_and_its_reset(variant, device):
    assert_agree_with_the_cpu(variant, device, num_steps=22)


@pytest.mark.parametrize("id", TASKS)
def test_every_task_agrees_with_itself_on_the_cpu(id, device, data_folder, quick_classifiers):
    """A few steps: the paths of a GAN on two devices part quickly."""
    assert_agree_with_the_cpu(arguments_of(id, {}, data_folder), device, num_steps=5)


def assert_agree_with_the_cpu(arguments, device, num_steps):
    here, there = (
        AutoLossVectorEnv(num_envs=5, device=each, **arguments) for each in ("cpu", device)
    )
    actions = actions_for(here, num_steps)
    for step, (one, other) in enumerate(
        zip(play(here, actions), play(there, actions), strict=True)
    ):
        assert one.keys() == other.keys()
        for name, values in one.items():
            tolerance = 1e-3 if values.dtype.kind == "f" else 0
            np.testing.assert_allclose(
                other[name], values, rtol=tolerance, atol=tolerance, err_msg=f"{name}, step {step}"
            )


def test_tensors_go_in_and_come_out_on_the_device(device):
    envs = AutoLossVectorEnv(SMALL, 4, device=device, array="torch")
    observations, infos = envs.reset(seed=0)
    twin = AutoLossVectorEnv(SMALL, 4, device=device)
    twin.reset(seed=0)
    for step in range(21):
        actions = torch.tensor([step % 2, 1, 0, 1], device=device)
        observations, rewards, terminations, truncations, infos = envs.step(actions)
        expected = twin.step(actions.cpu().numpy())
        for got, wanted in zip(
            (observations, rewards, terminations, truncations), expected, strict=False
        ):
            assert got.device.type == torch.device(device).type
            np.testing.assert_allclose(got.cpu().numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert infos["losses"].device.type == torch.device(device).type


def test_some_runs_can_be_reset_alone(device):
    envs = AutoLossVectorEnv(SMALL, 3, device=device)
    before = play(envs, actions_for(envs, 7))[-1]
    after, infos = envs.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(after[[0, 2]], before["observations"][[0, 2]])
    assert infos["steps"].tolist() == [7, 0, 7]


def test_a_state_saved_on_the_device_goes_on_there(device):
    envs, other = (AutoLossVectorEnv(SMALL, 3, device=device) for _ in range(2))
    actions = actions_for(envs, 12)
    play(envs, actions[:6])
    other.load_state_dict(envs.state_dict())
    for action in actions[6:]:
        for one, two in zip(envs.step(action)[:3], other.step(action)[:3], strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("id", TASKS)
def test_every_task_keeps_its_promises(id, device, quick_classifiers):
    """With its own arguments; networks that take long are smaller."""
    changes = SMALL_TASKS[id] if id in (GAN, INTRO_VAE, TRANSLATION) else {}
    task = gymnasium.make_vec(id, num_envs=1, device=device, **changes).task
    check_task(task, device=device)


@pytest.mark.parametrize("algo", ["ppo", "reinforce", "tensor_ppo"])
def test_learners_train(algo, device, tmp_path):
    brief = {"n_steps": 20, "batch_size": 80}
    hyperparameters = {
        "ppo": {**brief, "device": device},
        "reinforce": {},
        "tensor_ppo": brief,
    }
    configuration = TrainingConfiguration(
        algo=algo,
        env=ID,
        env_kwargs={**ARGUMENTS, "device": device},
        num_envs=8,
        n_timesteps=320,
        seed=0,
        hyperparameters=hyperparameters[algo],
    )
    make_learner(configuration).train(tmp_path)
    assert (tmp_path / "policy.safetensors").is_file()


def test_policies_are_compared(device):
    make_env = EnvironmentMaker(ID, {**ARGUMENTS, "device": device})
    played = rollout([Ratio("1:1", (1, 1)), Ratio("1:0", (1, 0))], make_env, np.arange(4))
    assert [episodes.figures["score"].shape for episodes in played] == [(4,), (4,)]
    assert not np.array_equal(played[0].figures["score"], played[1].figures["score"])
