"""The environments keep the contracts of Gymnasium, its vector environments and its wrappers. A
warning is an error.
"""

import copy
import functools
import multiprocessing
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as vector_wrappers
from stable_baselines3.common.env_checker import check_env as check_env_for_stable_baselines3

import autoloss_gym  # noqa: F401 (registers the ids)

pytestmark = pytest.mark.filterwarnings("error")

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {
    "dimension": 4,
    "num_samples": 20,
    "max_steps": 20,
    "validate_every": 5,
    "learning_rate": 0.05,
}
VARIANTS = [
    {"control": control, "dataset": dataset, "features": features}
    for control in ("pair", "weights")
    for dataset in ("synthetic", "diabetes")
    for features in ("scaled", "raw")
]


def make(**arguments):
    return gym.make(ID, **(SMALL | arguments))


def make_vec(num_envs=3, **arguments):
    return gym.make_vec(ID, num_envs=num_envs, **(SMALL | arguments))


def make_sync(mode, num_envs=3, **arguments):
    return SyncVectorEnv([functools.partial(make, **arguments)] * num_envs, autoreset_mode=mode)


def random_actions(env, number):
    env.action_space.seed(0)
    return [env.action_space.sample() for _ in range(number)]


def play(env, actions):
    """Outputs of a single environment or a vector environment; a single one is reset where an
    episode ends.
    """
    outputs = []
    for action in actions:
        outputs.append(env.step(action))
        if isinstance(env, gym.Env) and outputs[-1][2]:
            outputs.append(env.reset())
    return outputs


def same(first, second):
    return data_equivalence(first, second, exact=True)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(variant.values()))
class TestEveryVariant:
    def test_gymnasiums_checker_is_content(self, variant):
        check_env(make(**variant).unwrapped)

    def test_the_checker_of_stable_baselines3_is_content(self, variant):
        check_env_for_stable_baselines3(
            make(render_mode="rgb_array", **variant), skip_render_check=False
        )

    def test_vector_outputs_lie_in_their_spaces_with_the_dtypes_of_gymnasium(self, variant):
        envs = make_vec(**variant)
        assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        observations, _ = envs.reset(seed=0)
        assert observations in envs.observation_space
        for observations, rewards, terminations, truncations, _ in play(
            envs, random_actions(envs, 45)
        ):
            assert observations in envs.observation_space
            assert rewards.shape == terminations.shape == truncations.shape == (3,)
            assert np.isfinite(rewards).all()
            assert terminations.dtype == truncations.dtype == bool

    def test_a_spec_survives_json_and_pickle_and_makes_an_environment_that_behaves_the_same(
        self, variant
    ):
        env = make(**variant)
        actions = random_actions(env, 25)
        expected = [env.reset(seed=5), *play(env, actions)]
        for spec in (EnvSpec.from_json(env.spec.to_json()), pickle.loads(pickle.dumps(env.spec))):
            copied = gym.make(spec)
            assert same([copied.reset(seed=5), *play(copied, actions)], expected)

    def test_a_vector_spec_survives_json_and_pickle_and_makes_environments_that_behave_the_same(
        self, variant
    ):
        envs = make_vec(autoreset_mode="NextStep", **variant)
        actions = random_actions(envs, 25)
        expected = [envs.reset(seed=5), *play(envs, actions)]
        for spec in (EnvSpec.from_json(envs.spec.to_json()), pickle.loads(pickle.dumps(envs.spec))):
            copied = gym.make_vec(spec)
            assert same([copied.reset(seed=5), *play(copied, actions)], expected)


def test_an_argument_that_is_a_tuple_survives_json_which_has_only_lists():
    spec = make_vec(drop=("progress", "losses")).spec
    assert (
        gym.make_vec(EnvSpec.from_json(spec.to_json())).observation_space
        == gym.make_vec(spec).observation_space
    )


def test_the_id_can_name_the_module_to_import():
    assert gym.make(f"autoloss_gym:{ID}").spec.kwargs == gym.make(ID).spec.kwargs


@pytest.mark.parametrize("array", ["numpy", "torch"])
def test_a_later_call_changes_no_earlier_output(array):
    envs = make_vec(array=array, features="raw")
    kept, snapshots = [envs.reset(seed=0)], []
    for action in random_actions(envs, 25):
        snapshots.append(copy.deepcopy(kept[-1]))
        kept.append(envs.step(action))
    for output, snapshot in zip(kept, snapshots, strict=False):
        assert same(_host(output), _host(snapshot))


def _host(output):
    if isinstance(output, dict):
        return {name: _host(value) for name, value in output.items()}
    if isinstance(output, tuple):
        return tuple(_host(value) for value in output)
    return output.numpy() if isinstance(output, torch.Tensor) else output


# Copies


def pickled(env):
    return pickle.loads(pickle.dumps(env))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize(
    "made", [make, make_vec, functools.partial(make_vec, autoreset_mode="NextStep", patience=1)]
)
def test_a_copy_continues_exactly_as_the_original(made, copied):
    original = made(render_mode="rgb_array")
    original.reset(seed=1)
    actions = random_actions(original, 60)
    play(original, actions[:27])
    twin = copied(original)
    assert same(play(twin, actions[27:]), play(original, actions[27:]))
    assert same(twin.render(), original.render())


@pytest.fixture(scope="module")
def spawned():
    """A process that was spawned, not forked: it imports the package afresh."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield lambda env, actions: pool.apply(
            eval, ("[env.step(action) for action in actions]", {"env": env, "actions": actions})
        )


@pytest.mark.parametrize("made", [make, make_vec])
def test_a_spawned_process_continues_the_environment_exactly(made, spawned):
    env = made()
    env.reset(seed=1)
    actions = random_actions(env, 15)
    play(env, actions[:5])
    twin = copy.deepcopy(env)
    assert same(spawned(env, actions[5:]), play(twin, actions[5:]))


@pytest.mark.parametrize("made", [make, make_vec])
def test_what_a_spawned_process_does_with_its_copy_leaves_the_original_alone(made, spawned):
    env = made()
    env.reset(seed=1)
    actions = random_actions(env, 15)
    twin = copy.deepcopy(env)
    spawned(env, actions)
    assert same(play(env, actions), play(twin, actions))


# Reset modes: the same as a SyncVectorEnv of the single environment, bit for bit and over many
# episodes. Later episodes need no allowance: both take the problem of episode e of run i from (seed
# + i, e).


@pytest.mark.parametrize("patience", [0, 1], ids=["in_phase", "out_of_phase"])
@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
def test_each_autoreset_mode_gives_what_a_sync_vector_env_of_the_single_environment_gives(
    mode, patience
):
    ours, sync = (
        make_vec(autoreset_mode=mode.value, patience=patience),
        make_sync(mode, patience=patience),
    )
    assert same(ours.reset(seed=3)[0], sync.reset(seed=3)[0])
    episodes, endings = np.zeros(3, int), set()
    for actions in random_actions(ours, 90):
        got, expected = ours.step(actions), sync.step(actions)
        for mine, theirs in zip(got[:4], expected[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        ended = got[2]
        episodes += ended
        endings.add(int(ended.sum()))
        if mode is AutoresetMode.DISABLED and ended.any():
            options = {"reset_mask": ended}
            assert same(ours.reset(options=dict(options))[0], sync.reset(options=dict(options))[0])
    assert (episodes >= 4).all()
    assert bool(endings & {1, 2}) == bool(patience)


@pytest.mark.parametrize(
    "arguments", [{}, {"dataset": "diabetes"}, {"control": "weights"}, {"dimension": 5}], ids=str
)
def test_a_run_of_a_batch_is_the_same_run_alone_bit_for_bit(arguments):
    envs = gym.make_vec(ID, num_envs=17, **arguments)
    single = {row: gym.make(ID, **arguments) for row in (0, 1, 16)}
    observations = envs.reset(seed=0)[0]
    for row, env in single.items():
        np.testing.assert_array_equal(observations[row], env.reset(seed=row)[0])
    for actions in random_actions(envs, 30):
        observations, rewards, *_ = envs.step(actions)
        for row, env in single.items():
            observation, reward, *_ = env.step(actions[row])
            np.testing.assert_array_equal(observations[row], observation)
            assert rewards[row] == reward


def test_under_next_step_the_step_after_the_end_ignores_its_action_and_only_resets():
    envs, others = (make_vec(autoreset_mode="NextStep") for _ in range(2))
    first = envs.reset(seed=0), others.reset(seed=0)
    assert same(*first)
    for _ in range(20):
        ended = envs.step(np.zeros(3, int))[2] & others.step(np.zeros(3, int))[2]
    assert ended.all()
    reset, other = envs.step(np.zeros(3, int)), others.step(np.ones(3, int))
    assert same(reset, other)
    assert not reset[1].any()
    assert not reset[2].any()
    assert (reset[4]["steps"] == 0).all()


def test_a_reset_mask_restarts_its_runs_and_leaves_the_others_as_they_were():
    envs, undisturbed = make_vec(), make_vec()
    actions = random_actions(envs, 16)
    for each in (envs, undisturbed):
        each.reset(seed=0)
        before = play(each, actions[:7])[-1]
    observations, infos = envs.reset(options={"reset_mask": np.array([False, True, False])})
    np.testing.assert_array_equal(observations[[0, 2]], before[0][[0, 2]])
    np.testing.assert_array_equal(infos["steps"], [7, 0, 7])
    assert infos["instance"][1] != before[4]["instance"][1]
    for got, expected in zip(play(envs, actions[7:]), play(undisturbed, actions[7:]), strict=True):
        for mine, theirs in zip(got[:4], expected[:4], strict=True):
            np.testing.assert_array_equal(mine[[0, 2]], theirs[[0, 2]])


@pytest.mark.parametrize("seed", [11, [11, 5, 7]], ids=["int", "list"])
@pytest.mark.parametrize("as_array", [np.array, torch.tensor, list])
def test_a_reset_mask_with_seeds_reseeds_its_runs_alone_as_a_sync_vector_env_does(seed, as_array):
    mask = [True, False, True]
    ours, sync = make_vec(), make_sync("SameStep")
    ours.reset(seed=0), sync.reset(seed=0)
    got = ours.reset(seed=seed, options={"reset_mask": as_array(mask)})[0]
    assert same(got, sync.reset(seed=seed, options={"reset_mask": np.array(mask)})[0])
    for actions in random_actions(ours, 25):
        assert same(ours.step(actions)[0], sync.step(actions)[0])


def test_a_none_in_a_list_of_seeds_lets_that_run_go_on_to_its_next_problem_as_in_a_sync_vector_env():
    ours, sync = make_vec(), make_sync("SameStep")
    ours.reset(seed=0), sync.reset(seed=0)
    assert same(ours.reset(seed=[7, None, 9])[0], sync.reset(seed=[7, None, 9])[0])


@pytest.mark.parametrize(("mode", "vector_kwargs"), [("sync", {}), ("async", {"context": "spawn"})])
def test_gymnasiums_own_vectorisation_gives_what_the_batched_environment_gives_under_next_step(
    mode, vector_kwargs
):
    envs = make_vec(2, vectorization_mode=mode, vector_kwargs=vector_kwargs)
    batched = make_vec(2, autoreset_mode="NextStep")
    assert same(envs.reset(seed=0)[0], batched.reset(seed=0)[0])
    for actions in random_actions(envs, 45):
        for theirs, mine in zip(envs.step(actions)[:4], batched.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(theirs, mine)
    envs.close()


# Wrappers


def test_record_episode_statistics_reports_the_return_and_length_of_an_episode():
    env = gym.wrappers.RecordEpisodeStatistics(make())
    env.reset(seed=0)
    rewards = []
    for action in random_actions(env, 20):
        _, reward, terminated, _, info = env.step(action)
        rewards.append(reward)
    assert terminated
    assert info["episode"]["r"] == pytest.approx(sum(rewards))
    assert info["episode"]["l"] == 20


def test_the_vector_record_episode_statistics_reports_the_return_and_length_of_every_episode():
    envs = vector_wrappers.RecordEpisodeStatistics(make_vec(patience=1))
    envs.reset(seed=0)
    returns, lengths, episodes = np.zeros(3), np.zeros(3, int), 0
    for _, rewards, terminations, _, infos in play(envs, random_actions(envs, 60)):
        returns, lengths = returns + rewards, lengths + 1
        if terminations.any():
            np.testing.assert_allclose(
                infos["episode"]["r"][terminations], returns[terminations], atol=1e-5
            )
            np.testing.assert_array_equal(
                infos["episode"]["l"][terminations], lengths[terminations]
            )
        episodes += terminations.sum()
        returns[terminations], lengths[terminations] = 0, 0
    assert episodes > 9
    assert len(envs.return_queue) == episodes


@pytest.mark.parametrize(
    ("wrapper", "mode"),
    [
        (vector_wrappers.NormalizeReward, "SameStep"),
        (vector_wrappers.NormalizeObservation, "NextStep"),
    ],
    ids=["NormalizeReward", "NormalizeObservation"],
)
def test_a_normalising_vector_wrapper_gives_over_us_what_it_gives_over_a_sync_vector_env(
    wrapper, mode
):
    ours, sync = wrapper(make_vec(autoreset_mode=mode)), wrapper(make_sync(mode))
    raw = make_vec(autoreset_mode=mode)
    for each in (ours, sync, raw):
        each.reset(seed=0)
    unlike = 0.0
    for actions in random_actions(ours, 45):
        got, expected, plain = ours.step(actions), sync.step(actions), raw.step(actions)
        for mine, theirs in zip(got[:4], expected[:4], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
        unlike = max(
            unlike,
            *(np.abs(mine - bare).max() for mine, bare in zip(got[:2], plain[:2], strict=True)),
        )
    assert unlike > 0.1


def test_dict_info_to_list_gives_each_run_its_own_info_and_final_info_to_those_that_end():
    listed, plain = vector_wrappers.DictInfoToList(make_vec(patience=1)), make_vec(patience=1)
    assert [info["steps"] for info in listed.reset(seed=0)[1]] == [0, 0, 0]
    plain.reset(seed=0)
    endings = 0
    for actions in random_actions(plain, 60):
        infos, expected = listed.step(actions)[4], plain.step(actions)
        for row, info in enumerate(infos):
            np.testing.assert_array_equal(info["losses"], expected[4]["losses"][row])
            assert ("final_info" in info) == ("final_obs" in info) == expected[2][row]
            if expected[2][row]:
                endings += 1
                assert info["final_info"]["score"] == expected[4]["final_info"]["score"][row]
                np.testing.assert_array_equal(info["final_obs"], expected[4]["final_obs"][row])
    assert endings > 9


def test_a_time_limit_truncates():
    env = make(max_episode_steps=7)
    env.reset(seed=0)
    assert [output[2:4] for output in play(env, [0] * 7)] == [(False, False)] * 6 + [(False, True)]


@pytest.mark.parametrize(
    ("wrap", "expected"),
    [
        (
            lambda env: gym.wrappers.TransformObservation(
                env, lambda x: x[:2], env.observation_space
            ),
            lambda x: x[:2],
        ),
        (gym.wrappers.FlattenObservation, lambda x: x),
        (
            lambda env: gym.wrappers.RescaleObservation(env, np.float32(0), np.float32(1)),
            lambda x: (x + 1) / 2,
        ),
    ],
    ids=["TransformObservation", "FlattenObservation", "RescaleObservation"],
)
def test_an_observation_wrapper_transforms_every_observation(wrap, expected):
    wrapped, plain = wrap(make().unwrapped), make()
    np.testing.assert_allclose(
        wrapped.reset(seed=0)[0], expected(plain.reset(seed=0)[0]), rtol=1e-6
    )
    for action in random_actions(plain, 20):
        np.testing.assert_allclose(
            wrapped.step(action)[0], expected(plain.step(action)[0]), rtol=1e-6, atol=1e-6
        )


def test_normalize_observation_brings_the_features_to_deviation_one():
    env, plain = gym.wrappers.NormalizeObservation(make()), make()
    deviations = []
    for each in (env, plain):
        each.reset(seed=0)
        outputs = play(each, random_actions(each, 300))[100:]
        varying = [0, 1, 3, 4, 5]  # the gradient norm of `l1` is a constant
        deviations.append(np.std([output[0] for output in outputs], axis=0)[varying])
    assert (np.abs(deviations[0] - 1) < 0.25).all()
    assert (deviations[1] < 0.35).all()


def test_rescale_action_reaches_the_weights():
    wrapped = gym.wrappers.RescaleAction(make(control="weights"), np.float32(0), np.float32(1))
    plain = make(control="weights")
    wrapped.reset(seed=0), plain.reset(seed=0)
    scaled, bare = np.array([0.75, 0.25], np.float32), np.array([0.5, -0.5], np.float32)
    assert same([wrapped.step(scaled) for _ in range(5)], [plain.step(bare) for _ in range(5)])


# Pictures


def test_render_gives_a_picture_that_changes_as_the_run_goes_on():
    env = make(render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for action in (0, 0, 1):
        env.step(action)
        pictures.append(env.render())
    for picture in pictures:
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert picture.std() > 5
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_render_of_the_vector_environment_gives_the_picture_of_each_single_run():
    envs, sync = (
        make_vec(2, render_mode="rgb_array"),
        make_sync("SameStep", 2, render_mode="rgb_array"),
    )
    for each in (envs, sync):
        each.reset(seed=0)
        play(each, random_actions(each, 12))
    ours, theirs = envs.render(), sync.render()
    assert same(ours, theirs)
    assert not same(ours[0], ours[1])


def test_without_a_render_mode_nothing_is_drawn():
    env, envs = make().unwrapped, make_vec()
    env.reset(seed=0), envs.reset(seed=0)
    assert env.render() is None
    assert envs.render() is None


def test_record_video_writes_a_film(tmp_path):
    pytest.importorskip("moviepy")
    env = gym.wrappers.RecordVideo(
        make(render_mode="rgb_array"), str(tmp_path), episode_trigger=lambda episode: True
    )
    env.reset(seed=0)
    play(env, [0] * 20)
    env.close()
    assert list(tmp_path.glob("*.mp4"))
