"""Every kind of policy plays an introspective VAE, by players and by parts."""

import functools

import gymnasium
import numpy as np
import pytest

from agents.configuration import ENVIRONMENT_DEFAULTS, TrainingConfiguration, hyperparameters
from agents.environments import EnvironmentMaker
from agents.evaluation.entrants import make_entrant
from agents.evaluation.rollout import rollout
from agents.learners.learner import make_learner
from agents.policies.grammar import parse_specification
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.run_folders import save_configuration
from autoloss_gym.tasks.images.intro_vae import IntroVAE

ID = "AutoLoss/IntroVAE-v0"
FEW = {
    "filters": 2,
    "latent_size": 4,
    "batch_size": 4,
    "num_held_out": 12,
    "num_test": 20,
    "max_steps": 12,
    "validate_every": 4,
}
TURNS = ["balance", "round_robin", "random", "open_loop", "softadapt:pair", "online_ppo:buffer=4"]
PLAYERS = [*TURNS, "3:1", "1:3", "ratios", "balance:2", "random:0.3", "constant:2", "schedule:2"]
WEIGHTED = ["grid:2", "equal", "softadapt", "softadapt:normalized", "softadapt:loss_weighted",
            "introspective_softadapt", "gradnorm", "uncertainty", "dwa", "random_weights",
            "constant:2", "schedule:2", "fixed:2,1,1,1", "step:0.5", "cosine:1"]  # fmt: skip
PARTS = [*TURNS, "1:2:1:0", "random:0.1,0.2,0.3,0.4", "always:reconstruction", *WEIGHTED]
CONTROLS = [("players", "pair", PLAYERS), ("parts", "pair", PARTS), ("parts", "weights", PARTS)]


def first_policy(text, task):
    """The first candidate, or of a search the schedule in its middle."""
    found = make_entrant(parse_specification(text), task, ID)
    if found.search is None:
        return found.candidates[0]
    space = found.search.space
    return space.policy(space.schedule(np.zeros(space.size)))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Images of 8 × 8 without labels, which need no classifier."""
    path = tmp_path_factory.mktemp("images") / "x.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(path, images=pixels)
    return str(path)


@pytest.mark.parametrize(("arms", "control", "texts"), CONTROLS)
def test_every_policy_trains_it_to_the_end_and_weighing_ones_use_every_part(
    arms, control, texts, pictures
):
    arguments = {**FEW, "arms": arms, "dataset": pictures}
    task = IntroVAE(**arguments)
    policies = [first_policy(text, task) for text in texts]
    make_env = functools.partial(gymnasium.make_vec, ID, control=control, **arguments)
    played = dict(zip(texts, rollout(policies, make_env, np.arange(2)), strict=True))
    for text, episodes in played.items():
        assert np.isfinite(episodes.best_scores).all(), text
        np.testing.assert_allclose(episodes.shares.sum(axis=1), 1, rtol=1e-5, err_msg=text)
        if arms == "parts" and text in WEIGHTED:
            assert (episodes.shares > 0).all(), text
    ends = {text: episodes.best_scores.tolist() for text, episodes in played.items()}
    assert len({str(each) for each in ends.values()}) > len(texts) // 2
    if arms == "parts":
        # Weights of one are the paper's; equal ones are the same but for the step of Adam.
        np.testing.assert_allclose(ends["equal"], ends["constant:2"], rtol=0.02)


@pytest.mark.parametrize(
    ("algo", "arms", "changes", "budget"),
    [
        ("group", "players", {}, {"copies": 2, "search_runs": 0}),
        ("group", "parts", {}, {"copies": 2, "search_runs": 0}),
        ("sac", "parts", {"control": "weights", "repeat": 4}, {"learning_starts": 6}),
        ("reinforce", "players", {"repeat": 4}, {}),
        ("ppo", "parts", {"repeat": 4}, {"n_steps": 4, "batch_size": 4}),
    ],
)
def test_its_settings_train_a_controller_that_plays_it(
    algo, arms, changes, budget, pictures, tmp_path
):
    chosen = hyperparameters(algo, ID)
    assert chosen != hyperparameters(algo, "AutoLoss/Beale-v1")
    del chosen["num_envs"], chosen["n_timesteps"]
    arguments = {**FEW, "arms": arms, "dataset": pictures}
    settings = TrainingConfiguration(
        algo=algo,
        env=ID,
        env_kwargs={**arguments, **ENVIRONMENT_DEFAULTS.get(algo, {}), **changes},
        num_envs=2,
        n_timesteps=24,
        seed=0,
        hyperparameters={**chosen, **budget},
    )
    save_configuration(tmp_path, settings)
    make_learner(settings).train(tmp_path)
    policy = TrainedPolicy(tmp_path, ID, deterministic=True)
    envs = EnvironmentMaker(ID, {**settings.env_kwargs, "split": "validation"})
    policy.load(envs(num_envs=1, **policy.env_arguments))
    (episodes,) = rollout([policy], envs, np.arange(2))
    assert np.isfinite(episodes.best_scores).all()


@pytest.mark.parametrize(
    "text", ["grid", "equal", "fixed:2", "introspective_softadapt", "gradnorm"]
)
def test_weights_of_players_are_refused_in_one_line(text):
    with pytest.raises(ValueError, match=f"policy '{text}': ") as caught:
        make_entrant(parse_specification(text), IntroVAE(**FEW), ID)
    assert "\n" not in str(caught.value)
