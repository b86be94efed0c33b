"""Every kind of policy plays an introspective VAE, by players and by parts."""

import functools

import gymnasium
import numpy as np
import pytest

from agents.evaluation.entrants import make_entrant
from agents.evaluation.rollout import rollout
from agents.policies.grammar import parse_specification
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


@pytest.mark.parametrize(("arms", "control", "texts"), CONTROLS)
def test_every_policy_trains_it_to_the_end_and_weighing_ones_use_every_part(arms, control, texts):
    task = IntroVAE(arms=arms, **FEW)
    policies = [first_policy(text, task) for text in texts]
    make_env = functools.partial(gymnasium.make_vec, ID, arms=arms, control=control, **FEW)
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
    "text", ["grid", "equal", "fixed:2", "introspective_softadapt", "gradnorm"]
)
def test_weights_of_players_are_refused_in_one_line(text):
    with pytest.raises(ValueError, match=f"policy '{text}': ") as caught:
        make_entrant(parse_specification(text), IntroVAE(**FEW), ID)
    assert "\n" not in str(caught.value)
