"""Stable-Baselines3 trains on the environments, by plain `gym.make` and by the adapter. A warning
is an error.
"""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import VectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecNormalize

from agents.policies.trained.trained_policy import choose_actions
from autoloss_gym.adapters.stable_baselines3 import StableBaselines3VecEnv
from autoloss_gym.controllers.policies.draws import Draws

pytestmark = pytest.mark.filterwarnings("error")

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {
    "dimension": 4,
    "num_samples": 20,
    "max_steps": 20,
    "validate_every": 5,
    "learning_rate": 0.05,
}
ON_POLICY = {"n_steps": 8}
OFF_POLICY = {"learning_starts": 8, "buffer_size": 200, "batch_size": 8}
ALGORITHMS = {
    "PPO": (PPO, "pair", ON_POLICY | {"batch_size": 8, "n_epochs": 2}),
    "A2C": (A2C, "pair", ON_POLICY),
    "DQN": (DQN, "pair", OFF_POLICY),
    "PPO on weights": (PPO, "weights", ON_POLICY | {"batch_size": 8, "n_epochs": 2}),
    "SAC on weights": (SAC, "weights", OFF_POLICY),
}


def make_vec(num_envs=3, **arguments) -> VectorEnv:
    return gym.make_vec(ID, num_envs=num_envs, **(SMALL | arguments))


def adapted(num_envs=3, wrap=None, **arguments):
    envs = make_vec(num_envs, **arguments)
    return StableBaselines3VecEnv(wrap(envs) if wrap else envs)


def build(algorithm, env, **arguments):
    return algorithm(
        "MlpPolicy", env, policy_kwargs={"net_arch": [8]}, seed=0, device="cpu", **arguments
    )


def ppo(env):
    return build(PPO, env, n_steps=8, batch_size=8, n_epochs=1)


def random_actions(space, num_envs, number):
    space.seed(0)
    return [np.array([space.sample() for _ in range(num_envs)]) for _ in range(number)]


# The adapter


@pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
def test_the_adapter_refuses_an_environment_that_does_not_reset_in_the_same_step(mode):
    with pytest.raises(
        ValueError, match=rf"^autoreset_mode='{mode}': .* autoreset_mode='SameStep'$"
    ):
        adapted(autoreset_mode=mode)


@pytest.mark.parametrize("patience", [0, 1], ids=["in_phase", "out_of_phase"])
@pytest.mark.parametrize("array", ["numpy", "torch"])
def test_the_adapter_gives_the_numbers_of_the_environment(array, patience):
    envs, venv = make_vec(patience=patience), adapted(array=array, patience=patience)
    venv.seed(4)
    np.testing.assert_array_equal(venv.reset(), envs.reset(seed=4)[0])
    assert venv.reset_infos == [{}, {}, {}]
    returns, lengths, episodes = np.zeros(3), np.zeros(3, int), 0
    for actions in random_actions(venv.action_space, 3, 70):
        observations, rewards, dones, infos = venv.step(actions)
        expected = envs.step(actions)
        for mine, theirs in zip((observations, rewards, dones), expected[:3], strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.dtype == theirs.dtype
        returns, lengths = returns + rewards, lengths + 1
        for row, info in enumerate(infos):
            if not dones[row]:
                assert info == {}
                continue
            episodes += 1
            assert info["TimeLimit.truncated"] is False
            np.testing.assert_array_equal(
                info["terminal_observation"], expected[4]["final_obs"][row]
            )
            assert info["episode"]["r"] == pytest.approx(returns[row])
            assert info["episode"]["l"] == lengths[row]
            for name in ("score", "best_score", "diverged", "pair_shares"):
                np.testing.assert_array_equal(info[name], expected[4]["final_info"][name][row])
        returns[dones], lengths[dones] = 0, 0
    assert episodes >= 9


def test_a_seed_holds_for_one_reset_and_repeats_it():
    venv = adapted()
    venv.seed(7)
    first, next_problem = venv.reset(), venv.reset()
    venv.seed(7)
    np.testing.assert_array_equal(venv.reset(), first)
    np.testing.assert_array_equal(venv.reset(), next_problem)
    assert (first != next_problem).any()


def test_a_reset_in_the_middle_of_an_episode_starts_its_return_and_length_anew():
    venv = adapted()
    venv.reset()
    for _ in range(7):
        venv.step(np.zeros(3, int))
    venv.reset()
    rewards = np.zeros(3)
    for _ in range(20):
        _, reward, dones, infos = venv.step(np.zeros(3, int))
        rewards += reward
    assert dones.all()
    assert [info["episode"]["l"] for info in infos] == [20, 20, 20]
    np.testing.assert_allclose([info["episode"]["r"] for info in infos], rewards, rtol=1e-6)


def test_attributes_are_those_of_the_batch():
    venv = adapted()
    assert venv.get_attr("render_mode") == [None, None, None]
    assert venv.get_attr("num_envs", indices=[0, 2]) == [3, 3]
    assert venv.get_attr("action_space", indices=1) == [venv.action_space]
    assert venv.get_attr("step") == [venv.envs.step] * 3
    assert venv.env_is_wrapped(Monitor) == [True, True, True]
    assert venv.env_is_wrapped(gym.wrappers.TimeLimit, indices=0) == [False]
    assert not venv.has_attr("no_such_attribute")


def test_an_attribute_of_ones_own_can_be_set_and_one_of_the_environment_cannot():
    venv = adapted()
    venv.set_attr("level", 1, indices=[0, 2])
    assert venv.get_attr("level") == [1, None, 1]
    venv.set_attr("level", 2, indices=0)
    assert venv.get_attr("level") == [2, None, 1]
    with pytest.raises(ValueError, match=r"^'num_envs' holds for all runs .+$"):
        venv.set_attr("num_envs", 5)


@pytest.mark.parametrize("wrap", [None, RecordEpisodeStatistics], ids=["bare", "wrapped"])
def test_methods_of_the_runs_can_be_called(wrap):
    venv = adapted(wrap=wrap)
    venv.reset()
    third, first = venv.env_method("diagnostics", indices=[2, 0])
    expected = venv.envs.unwrapped.diagnostics()
    np.testing.assert_array_equal(third["fresh_losses"], expected["fresh_losses"][2])
    np.testing.assert_array_equal(first["fresh_losses"], expected["fresh_losses"][0])
    with pytest.raises(ValueError, match=r"^'reset' is a method of the whole batch: .+$"):
        venv.env_method("reset")


def test_options_hold_for_the_next_reset_alone():
    venv = adapted()
    venv.reset()
    before = venv.step(np.zeros(3, int))[0]
    venv.set_options({"reset_mask": np.array([False, True, False])})
    after = venv.reset()
    np.testing.assert_array_equal((after == before).all(axis=1), [True, False, True])
    ends = [venv.step(np.zeros(3, int))[2:] for _ in range(20)]
    lengths = [[info["episode"]["l"] for info in infos if info] for _, infos in ends]
    assert [each for each in lengths if each] == [[20, 20], [20]]
    assert (venv.reset() != after).any(axis=1).all()


def test_unknown_options_and_options_that_differ_are_refused():
    venv = adapted()
    venv.set_options({"no_such_option": 1})
    with pytest.raises(ValueError, match=r"no_such_option"):
        venv.reset()
    venv.set_options([{"a": 1}, {}, {}])
    with pytest.raises(ValueError, match=r"^options .+: .+ give set_options one dictionary$"):
        venv.reset()


def test_the_state_of_a_wrapped_environment_can_be_taken_and_restored():
    venv, twin = (adapted(wrap=RecordEpisodeStatistics) for _ in range(2))
    venv.reset()
    for _ in range(5):
        venv.step(np.zeros(3, int))
    twin.load_state_dict(venv.state_dict())
    for actions in random_actions(venv.action_space, 3, 20):
        got, expected = twin.step(actions), venv.step(actions)
        np.testing.assert_array_equal(got[0], expected[0])
        np.testing.assert_array_equal(got[1], expected[1])
    assert [info["episode"]["l"] for info in got[3] if info] == [
        info["episode"]["l"] for info in expected[3] if info
    ]


def test_render_tiles_the_pictures_of_the_runs():
    venv = adapted(4, render_mode="rgb_array")
    venv.reset()
    pictures = venv.get_images()
    assert len(pictures) == 4
    height, width, _ = pictures[0].shape
    assert venv.render().shape == (2 * height, 2 * width, 3)


# On top of the adapter


@pytest.mark.parametrize("array", ["numpy", "torch"])
def test_evaluate_policy_reports_whole_episodes_without_a_monitor(array):
    venv = adapted(array=array)
    returns, lengths = evaluate_policy(
        ppo(venv), venv, n_eval_episodes=6, return_episode_rewards=True
    )
    assert lengths == [20] * 6
    assert np.isfinite(returns).all()
    assert len(set(returns)) == 6


def test_evaluate_policy_gives_the_returns_of_the_environment():
    class FirstPair:
        def predict(self, observations, state=None, **_):
            return np.zeros(len(observations), int), state

    venv, envs = adapted(), make_vec()
    venv.seed(0), envs.reset(seed=0)
    expected = np.sum([envs.step(np.zeros(3, int))[1] for _ in range(20)], axis=0)
    returns, _ = evaluate_policy(FirstPair(), venv, n_eval_episodes=3, return_episode_rewards=True)
    np.testing.assert_allclose(returns, expected, rtol=1e-5)


def test_vec_normalize_normalises_and_keeps_the_originals():
    venv, envs = VecNormalize(adapted(array="torch")), make_vec()
    venv.seed(0)
    venv.reset(), envs.reset(seed=0)
    seen = []
    for actions in random_actions(venv.action_space, 3, 45):
        observations, _, dones, infos = venv.step(actions)
        expected = envs.step(actions)
        np.testing.assert_array_equal(venv.get_original_obs(), expected[0])
        np.testing.assert_array_equal(venv.get_original_reward(), expected[1])
        seen.append(observations)
        for row in np.flatnonzero(dones):
            original = expected[4]["final_obs"][row]
            np.testing.assert_allclose(
                infos[row]["terminal_observation"], venv.normalize_obs(original)
            )
    late = np.concatenate(seen[10:])
    assert np.abs(late.mean(axis=0)).max() < 1
    assert not np.allclose(observations, venv.get_original_obs(), atol=0.1)


def test_eval_callback_evaluates_and_keeps_the_best_model(tmp_path):
    evaluation = EvalCallback(
        adapted(2, split="validation"),
        n_eval_episodes=4,
        eval_freq=20,
        log_path=str(tmp_path),
        best_model_save_path=str(tmp_path),
        verbose=0,
    )
    ppo(adapted()).learn(120, callback=evaluation)
    results = np.load(tmp_path / "evaluations.npz")
    assert results["results"].shape == (2, 4)
    assert (results["ep_lengths"] == 20).all()
    assert evaluation.best_mean_reward == pytest.approx(results["results"].mean(axis=1).max())
    assert (tmp_path / "best_model.zip").is_file()


# Training


def environments(control):
    arguments = SMALL | {"control": control}
    return {
        "gym.make": lambda: gym.make(ID, **arguments),
        "make_vec_env": lambda: make_vec_env(ID, n_envs=2, env_kwargs=arguments),
        "adapter": lambda: adapted(**arguments),
        "adapter, torch": lambda: adapted(array="torch", **arguments),
        "adapter, raw, VecNormalize": lambda: VecNormalize(adapted(features="raw", **arguments)),
    }


@pytest.mark.parametrize("env", environments("pair"))
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_training_changes_the_weights_and_leaves_them_finite(algorithm, env):
    cls, control, arguments = ALGORITHMS[algorithm]
    model = build(cls, environments(control)[env](), **arguments)
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(64)
    after = model.policy.state_dict()
    assert all(torch.isfinite(value).all() for value in after.values())
    assert any((value != before[name]).any() for name, value in after.items())
    assert model.num_timesteps >= 64
    episodes = list(model.ep_info_buffer)
    assert episodes
    assert {episode["l"] for episode in episodes} == {20}


def test_training_through_numpy_and_through_torch_arrays_gives_the_same_weights():
    first, second = (
        ppo(adapted(array=array)).learn(64).policy.state_dict() for array in ("numpy", "torch")
    )
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=0, atol=0)


def test_continuous_actions_are_drawn_with_the_deviation_of_the_policy_or_are_its_mode():
    envs = StableBaselines3VecEnv(gym.make_vec(ID, num_envs=2, control="weights"))
    policy = PPO(
        "MlpPolicy", envs, policy_kwargs={"log_std_init": -2.0}, n_steps=8, batch_size=16
    ).policy
    observations = np.zeros((4000, envs.observation_space.shape[0]), dtype=np.float32)
    draws = Draws(np.arange(4000), "test")
    mode = choose_actions(policy, observations, draws, deterministic=True)
    drawn = choose_actions(policy, observations, draws, deterministic=False)
    np.testing.assert_allclose(drawn.std(axis=0), np.exp(-2), rtol=0.05)
    np.testing.assert_allclose(drawn.mean(axis=0), mode[0], atol=0.01)
    assert (mode == mode[0]).all()
    assert not np.array_equal(
        choose_actions(policy, observations, draws, deterministic=False), drawn
    )
