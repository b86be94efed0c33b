"""What every registered environment keeps."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_stable_baselines3

import autoloss_gym
from autoloss_gym.registration import TASKS
from benchmarks import module_cases

SHORTER = {
    "AutoLoss/Rosenbrock-v1": {"max_steps": 100},
    "AutoLoss/PINN-v0": {"max_steps": 200},
    "AutoLoss/SparseAutoencoder-v1": {"max_steps": 100},
    "AutoLoss/ImageClassification-v0": {"max_steps": 100},
    "AutoLoss/ImageGAN-v1": {"max_steps": 200, "num_test": 200, "collapse_repeats": 0},
    "AutoLoss/IntroVAE-v0": {"max_steps": 100, "num_test": 200, "collapse_repeats": 0},
    "AutoLoss/MultiTaskTranslation-v0": {"max_steps": 50, "num_held_out": 20, "num_test": 20},
}
ONE_LOSS = ("AutoLoss/LeastSquaresStepSize-v0", "AutoLoss/QuadraticStepSize-v0")
ONE_LOSS_FOR_EACH_BLOCK = (
    "AutoLoss/ImageGAN-v1",
    "AutoLoss/IntroVAE-v0",
    *ONE_LOSS,
)  # where weights are refused


@pytest.mark.parametrize(
    ("id", "control"),
    [
        (id, control)
        for id in TASKS
        for control in ("pair", "weights")[: 1 if id in ONE_LOSS_FOR_EACH_BLOCK else 2]
    ]
    + [(id, "step_size") for id in ONE_LOSS],
)
def test_both_checkers_are_content(id, control):
    env = gymnasium.make(id, control=control)
    check_env(env.unwrapped)
    check_env_for_stable_baselines3(env)


@pytest.mark.parametrize("case", module_cases.CASES)
def test_both_checkers_are_content_with_a_task_of_modules(case):
    task = module_cases.CASES[case](module_cases.digits(), max_steps=4, validate_every=2)
    env = autoloss_gym.AutoLossEnv(task)
    check_env(env, skip_render_check=True)
    check_env_for_stable_baselines3(env)


def test_both_checkers_are_content_where_a_step_is_a_decision():
    env = gymnasium.make("AutoLoss/Beale-v1", control="schedule", max_steps=20, validate_every=5)
    check_env(env.unwrapped)
    check_env_for_stable_baselines3(env)


@pytest.mark.parametrize("id", [id for id in TASKS if id not in ONE_LOSS])
def test_using_every_loss_beats_using_none_of_the_first(id):
    """A reward or score of the wrong sign would turn this around."""
    envs = gymnasium.make_vec(id, num_envs=4, **SHORTER.get(id, {}))
    task, finals = envs.task, []
    for choose in (lambda step: step % 2, lambda step: 1):
        envs.reset(seed=0)
        rewards = 0.0
        for step in range(task.max_steps):
            _, reward, _, _, infos = envs.step(np.full(4, choose(step)))
            rewards = rewards + reward
        finals.append((rewards.mean(), infos["final_info"]["best_score"].mean()))
    (alternating, alternating_score), (penalised, penalised_score) = finals
    assert alternating > penalised
    assert (alternating_score < penalised_score) == task.score_metrics[0].minimize
