"""Arrays on disk: whole or absent, found by all that they depend on, read without running code."""

import pathlib
import pickle
from dataclasses import replace

import numpy as np
import pytest

from agents.configuration import TrainingConfiguration
from agents.evaluation.entrants import make_entrant
from agents.evaluation.store import SHARES, EpisodeStore, Store, batch_key, figures_of
from agents.learners.checkpoints import save_weights
from agents.learners.reinforce import build_controller
from agents.policies.grammar import parse_specification
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.run_folders import save_configuration
from autoloss_gym.controllers.policies.static import RandomPair, Ratio
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.tools.forms import Array

ID = "AutoLoss/QuadraticRegression-v1"
POLICIES = [Ratio("a", (1, 2)), RandomPair("b", (0.25, 0.75))]
SEEDS = np.array([3, 1 << 40, 5])
KEY = batch_key(POLICIES, SEEDS)
ARRAYS = {
    "best_score": np.array([0.1, np.nan, -np.inf, -0.0, 1e-45, 3.0], dtype=np.float32),
    "instance": np.array([-(2**63), 2**63 - 1, 0]),
    "diverged": np.array([True, False, True]),
    "shares of the pairs": np.array([[1 / 3, 2 / 3], [np.nan, np.nan]]),
    "nothing": np.zeros((0, 2), dtype=np.int64),
}
FORM = {name: Array.like(value, finite=False) for name, value in ARRAYS.items()}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "made" / "when needed", "test")
    store.save(KEY, ARRAYS)
    return store


def files(tmp_path):
    return sorted(path for path in tmp_path.rglob("*") if path.is_file())


def test_what_was_saved_comes_back_bit_for_bit(store):
    loaded = store.load(KEY, FORM)
    assert list(loaded) == list(ARRAYS)
    for name, value in ARRAYS.items():
        assert (loaded[name].dtype, loaded[name].shape) == (value.dtype, value.shape), name
        assert loaded[name].tobytes() == value.tobytes(), name


@pytest.mark.parametrize("max_steps", [20, 200_000])
def test_the_shares_of_long_trainings_come_back(max_steps, tmp_path):
    task = QuadraticRegression(dimension=4, num_samples=20, max_steps=max_steps)
    store = EpisodeStore(tmp_path, "test", task)
    arrays = {name: np.zeros(6, dtype) for name, dtype in figures_of(task).items()}
    arrays[SHARES] = np.full((2, max_steps, 2), 0.5)
    store.save(POLICIES, SEEDS, arrays)
    loaded = store.load(POLICIES, SEEDS)
    assert loaded is not None
    np.testing.assert_array_equal(loaded[SHARES], arrays[SHARES])


def test_an_array_of_any_name_can_be_saved(tmp_path):
    names = ["file", "self", "0/a", "args", "ä"]
    store = Store(tmp_path)
    store.save([1], {name: np.array([index]) for index, name in enumerate(names)})
    loaded = store.load([1], {name: Array("int64", (1,)) for name in names})
    assert {name: value.item() for name, value in loaded.items()} == {
        name: index for index, name in enumerate(names)
    }


@pytest.mark.parametrize(
    ("policies", "seeds", "context"),
    [
        (POLICIES[::-1], SEEDS, "test"),
        (POLICIES[:1], SEEDS, "test"),
        ([replace(POLICIES[0], counts=(2, 1)), POLICIES[1]], SEEDS, "test"),
        (
            [POLICIES[0], replace(POLICIES[1], probabilities=(0.25000000000000006, 0.75))],
            SEEDS,
            "test",
        ),
        (
            [replace(POLICIES[0], env_arguments={"train_on_validation": True}), POLICIES[1]],
            SEEDS,
            "test",
        ),
        (POLICIES, SEEDS[::-1], "test"),
        (POLICIES, SEEDS[:2], "test"),
        (POLICIES, SEEDS + 1, "test"),
        (POLICIES, SEEDS, "validation"),
    ],
)
def test_other_policies_seeds_or_splits_are_not_mistaken_for_those_that_were_saved(
    store, policies, seeds, context
):
    assert Store(store.folder, context).load(batch_key(policies, seeds), FORM) is None
    same = batch_key([replace(policy) for policy in POLICIES], SEEDS.copy())
    assert Store(store.folder, "test").load(same, FORM) is not None


def test_a_key_is_found_whatever_the_order_of_its_names(tmp_path):
    Store(tmp_path, {"a": 1, "b": 2}).save({"x": 1, "y": [2]}, {"curve": np.ones(2)})
    found = Store(tmp_path, {"b": 2, "a": 1}).load(
        {"y": [2], "x": 1}, {"curve": Array.like(np.ones(2))}
    )
    assert found["curve"].tolist() == [1, 1]


def test_a_store_that_holds_nothing_finds_nothing_and_makes_no_folder(tmp_path):
    assert Store(tmp_path / "folder", "test").load(KEY, FORM) is None
    assert not list(tmp_path.iterdir())


def test_a_batch_whose_writing_was_cut_short_is_not_there_and_is_written_anew(store, tmp_path):
    (path,) = files(tmp_path)
    path.with_suffix(".tmp").write_bytes(path.read_bytes()[:100])
    path.unlink()
    assert store.load(KEY, FORM) is None
    store.save(KEY, ARRAYS)
    assert path in files(tmp_path)
    assert store.load(KEY, FORM)["best_score"][5] == 3.0


class Payload:
    def __init__(self, marker: pathlib.Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return pathlib.Path.touch, (self.marker,)


def test_loading_runs_no_code(store, tmp_path):
    (path,) = files(tmp_path)
    marker = tmp_path / "ran"
    path.write_bytes(pickle.dumps(Payload(marker)))
    assert store.load(KEY, FORM) is None  # as a damaged file
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists()  # the payload is live


# Names


TEXTS = ["1:1", "2:1", "always:mse", "random:0.3", "random:0.4", "fixed:2", "fixed:3", "without_penalty", "s1:0.5", "s2:0.5",
         "s2:0.6", "softadapt", "softadapt:pair", "softadapt:beta=1", "softadapt:normalized", "softadapt:order=2",
         "softadapt:least_squares=3", "softadapt:every=2", "softadapt:scale=count", "equal", "equal:pair", "dwa",
         "dwa:temperature=1", "dwa:window=2",
         "uncertainty", "uncertainty:learning_rate=0.1", "gradnorm", "gradnorm:alpha=1", "random_weights"]  # fmt: skip


def test_the_repr_of_a_policy_tells_it_from_all_others_and_stays_what_it_is_while_it_acts():
    """Batches are found by it, also by another process: it must hold all that the policy does, and
    no address or state.
    """
    task = QuadraticRegression()
    first, second = (
        [make_entrant(parse_specification(text), task, "").candidates[0] for text in TEXTS]
        for _ in range(2)
    )
    ones = np.ones((2, 2), np.float32)
    infos = dict.fromkeys(
        ("losses", "gradient_norms", "fresh_losses", "fresh_gradient_norms", "fresh_validation"),
        ones,
    )
    for policy in first:
        policy.reset(np.arange(2))
        policy.act(ones, infos | {"steps": np.zeros(2, int), "losses_refreshed": ones.astype(bool)})
    assert [repr(policy) for policy in first] == [repr(policy) for policy in second]
    without_labels = [repr(replace(policy, label="")) for policy in first]
    assert len(set(without_labels)) == len(TEXTS)


def test_the_repr_of_a_trained_policy_tells_its_weights_from_those_after_more_training(tmp_path):
    task = QuadraticRegression(dimension=4, num_samples=20, max_steps=20)
    configuration = TrainingConfiguration(
        algo="reinforce",
        env=ID,
        env_kwargs={},
        num_envs=1,
        n_timesteps=20,
        seed=0,
        hyperparameters={"hidden_sizes": (2,)},
    )
    envs = AutoLossVectorEnv(task)
    controller = build_controller(configuration, envs)
    save_configuration(tmp_path, configuration)
    names = []
    for change, deterministic in ((0.0, False), (0.0, False), (0.0, True), (1e-3, False)):
        next(iter(controller.parameters())).data += change
        save_weights(controller, tmp_path, steps=20)
        policy = TrainedPolicy(tmp_path, ID, deterministic)
        policy.load(envs)
        names.append(repr(policy))
    assert names[0] == names[1]
    assert len(set(names)) == 3


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_damaged_file_counts_as_absent(store, tmp_path, share):
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert store.load(KEY, FORM) is None
