"""Policies in plain values."""

import json

import numpy as np
import pytest

from agents.commands.train import train
from agents.environments import EnvironmentMaker
from agents.evaluation.batches import play_batch
from agents.evaluation.entrants import make_entrants
from agents.policies.grammar import parse_specification
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.sweeps import recipes
from agents.sweeps.recipes import Recipes, files_of, make
from autoloss_gym.controllers.policies.loss_schedule import LossSchedule
from autoloss_gym.controllers.policies.open_loop import OpenLoop
from autoloss_gym.controls.schedule import Schedule

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 40, "split": "test"}
MAKER = EnvironmentMaker(ID, SMALL)


def entrants_of(*texts):
    task = MAKER(num_envs=1).task
    return make_entrants([parse_specification(text) for text in texts], task, ID)


def through_json(recipe):
    return json.loads(json.dumps(recipe))


def played(policy):
    return play_batch([policy], np.arange(3), MAKER)


def assert_plays_the_same(policy, other):
    for name, values in played(policy).items():
        np.testing.assert_array_equal(values, played(other)[name], name)


@pytest.mark.parametrize("text", ["softadapt", "1:3", "random:0.3", "fixed:2", "grid:3", "constant:4",
                                  "gradnorm:every=2", "cosine:0.5"])  # fmt: skip
def test_a_policy_is_made_again_from_plain_values(text, monkeypatch):
    monkeypatch.setattr(recipes, "_made", {})
    (entrant,) = entrants_of(text)
    for policy in entrant.candidates:
        recipe = through_json(Recipes([entrant]).of(policy))
        assert_plays_the_same(policy, make(recipe, MAKER, False, {}))


def test_schedules_that_no_command_line_names_are_plain_values():
    schedule = Schedule(weights=((1.0, 2.0), (3.0, 1.0)), step_size=(3.0, 0.3))
    for policy in (
        LossSchedule("weights", schedule, 40),
        LossSchedule("draws", schedule, 40, draw=True),
        OpenLoop("open", ((0.2, 0.8), (0.9, 0.1)), 40),
    ):
        again = make(through_json(Recipes([]).of(policy)), MAKER, False, {})
        assert repr(again) == repr(policy)
        assert_plays_the_same(policy, again)


class Own:
    """A policy of a user's, who has not thought of `repr`."""

    label, static, diagnostics, env_arguments = "own", True, False, {}

    def __init__(self, task):
        self.num_pairs = len(task.pairs)

    def reset(self, seeds):
        self.seeds = seeds

    def act(self, observations, infos):
        return self.seeds % self.num_pairs


def test_a_policy_of_ones_own_is_made_again_by_its_name(monkeypatch):
    monkeypatch.setattr(recipes, "_made", {})
    (entrant,) = entrants_of(f"{Own.__module__}:Own")
    (policy,) = entrant.candidates
    again = make(through_json(Recipes([entrant]).of(policy)), MAKER, False, {})
    assert again is not policy
    assert_plays_the_same(policy, again)


def test_trained_policies_travel_as_the_bytes_of_their_files(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recipes, "_made", {})
    words = ["dimension=4", "num_samples=20", "max_steps=40"]
    train(["--env", ID, "--env-kwargs", *words, "--algo", "reinforce", "--num-envs", "4",
           "--n-timesteps", "160", "-f", str(tmp_path / "of a, [name]")])  # fmt: skip
    folder = capsys.readouterr().out.strip()
    (entrant,) = entrants_of(f"reinforce:{tmp_path}/*/reinforce/*")
    (policy,) = entrant.candidates
    assert isinstance(policy, TrainedPolicy)
    policy.load(MAKER(num_envs=1, **policy.env_arguments))
    written = Recipes([entrant])
    recipe = through_json(written.of(policy))
    contents = {digest: written.contents[digest] for digest in files_of([recipe])}
    tmp_path.rename(tmp_path.with_name("elsewhere"))  # where it plays, the folder is not seen
    again = make(recipe, MAKER, False, contents)
    assert folder not in json.dumps(recipe)
    assert_plays_the_same(policy, again)
    tmp_path.with_name("elsewhere").rename(tmp_path)


def test_a_policy_that_is_another_here_is_refused():
    (entrant,) = entrants_of("softadapt")
    recipe = Recipes([entrant]).of(entrant.candidates[0])
    with pytest.raises(ValueError, match="the same version of everything must be installed"):
        make({**recipe, "repr": "SoftAdapt(beta=7)"}, MAKER, False, {})
