"""Policies that decide for many updates at once, in the same tables as those that do not."""

import numpy as np
import pytest

from agents.configuration import TrainingConfiguration
from agents.environments import EnvironmentMaker
from agents.evaluation.comparison import run_benchmark
from agents.evaluation.curves import check_every
from agents.evaluation.entrants import make_entrants
from agents.evaluation.loop import Step, decision_moments, play_episodes
from agents.evaluation.rollout import rollout
from agents.learners.learner import make_learner
from agents.policies.grammar import parse_specification
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.run_folders import save_configuration
from autoloss_gym.controllers.policies.static import FixedWeights
from autoloss_gym.controllers.policy import Policy

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20}
BASE = {"weights": [[1.0, 3.0]], "step_size": [1.0]}
HELD = {"control": "schedule", "control_arguments": {"base": BASE}}
OFF_POLICY = {"learning_starts": 16, "buffer_size": 200, "batch_size": 16, "train_freq": 1}


class Shift:
    """Shifts the base by the same entries at every decision."""

    label = "shift"
    static = False
    diagnostics = False

    def __init__(self, entry, **arguments):
        self.entry = entry
        self.env_arguments = HELD | arguments
        self.met = []

    def __repr__(self):
        return f"Shift({self.entry})"

    def reset(self, seeds):
        self.count = len(seeds)

    def act(self, observations, infos):
        self.met.append(infos["steps"].tolist())
        return np.full((self.count, 2), self.entry, dtype=np.float32)


def maker(**more):
    return EnvironmentMaker(ID, {**SMALL, "split": "validation", **more})


def trained(algo, folder, env_kwargs, **hyperparameters):
    """A policy of a short training."""
    settings = TrainingConfiguration(
        algo=algo,
        env=ID,
        env_kwargs={**SMALL, **env_kwargs},
        num_envs=4,
        n_timesteps=48,
        seed=0,
        hyperparameters=hyperparameters,
    )
    folder.mkdir()
    save_configuration(folder, settings)
    make_learner(settings).train(folder)
    return TrainedPolicy(folder, ID, deterministic=True)


def test_a_step_of_the_loop_is_a_decision_and_the_shares_are_those_of_every_update():
    policy = Shift(0.0)
    (episodes,) = rollout([policy], maker(), np.arange(3))
    assert policy.met == [[0] * 3, [5] * 3, [10] * 3]
    np.testing.assert_allclose(episodes.shares, np.tile([0.25, 0.75], (20, 1)), rtol=1e-5)
    assert (episodes.figures["steps"] == 20).all()


def test_the_base_played_by_decisions_scores_as_the_same_weights_update_by_update():
    held, fixed = Shift(0.0), FixedWeights("fixed", (0.5, 1.5))
    by_decision, by_update = rollout([held, fixed], maker(), np.arange(4))
    np.testing.assert_allclose(by_decision.best_scores, by_update.best_scores, rtol=1e-5)
    assert (by_decision.figures["instance"] == by_update.figures["instance"]).all()


def test_what_is_played_before_the_first_decision_is_a_step_of_its_own():
    arguments = {"control": "schedule", "control_arguments": {"decide_at": [0.5], "base": BASE}}
    envs = maker()(num_envs=2, **arguments)
    assert decision_moments(envs) == (10, 20)
    seen: list[Step] = []
    play_episodes([Shift(1.0)], envs, np.arange(2), seen.append)
    assert [(step.number, step.updates) for step in seen] == [(10, 10), (20, 10)]
    assert not seen[0].ended.any()
    assert seen[1].ended.all()
    np.testing.assert_allclose(seen[0].shares, [[0.25, 0.75]] * 2, rtol=1e-5)
    assert (seen[1].shares[:, 1] > 0.9).all()


def test_runs_that_end_early_leave_the_shares_of_the_others():
    early = maker(patience=1, learning_rate=0.5)
    (episodes,) = rollout([Shift(0.5)], early, np.arange(6))
    assert (episodes.figures["steps"] < 20).any()
    shown = episodes.shares[~np.isnan(episodes.shares).any(axis=1)]
    np.testing.assert_allclose(shown.sum(axis=1), 1.0, rtol=1e-5)


def test_a_policy_for_single_updates_is_refused_where_a_step_is_many():
    with pytest.raises(ValueError, match="policy 'fixed' chooses for a single update"):
        rollout([FixedWeights("fixed", (1.0, 1.0))], maker(control="schedule"), np.arange(2))


def test_scores_between_two_decisions_are_refused():
    policy: Policy = Shift(0.0)
    with pytest.raises(ValueError, match="--every 5: shift holds a schedule"):
        check_every(5, maker()(num_envs=1).task, [policy], 1)


def test_a_group_policy_stands_in_a_table_beside_others(tmp_path):
    policy = trained("group", tmp_path / "run", {"control": "schedule"}, copies=2, search_runs=0)
    texts = [f"group:{policy.folder}", "fixed:0.5", "round_robin"]
    task = maker()(num_envs=1).task
    entrants = make_entrants([parse_specification(text) for text in texts], task, ID)
    benchmark = run_benchmark(
        entrants, lambda split: EnvironmentMaker(ID, {**SMALL, "split": split}), "validation", 6, 0
    )
    rows = {row.label: row for row in benchmark.rows}
    assert set(rows) == {"group", "fixed:0.5", "round_robin"}
    assert np.isfinite(rows["group"].mean.value)


@pytest.mark.parametrize(
    ("algo", "levels", "hyperparameters"),
    [
        ("ppo", None, {"n_steps": 6, "batch_size": 24}),
        ("sac", None, {**OFF_POLICY, "gradient_steps": 1}),
        ("dqn", 3, OFF_POLICY),
    ],
)
def test_stable_baselines3_learns_and_plays_decisions_untouched(
    algo, levels, hyperparameters, tmp_path
):
    held = {"control": "schedule", "control_arguments": {"levels": levels}}
    policy = trained(algo, tmp_path / "run", held, **hyperparameters)
    envs = maker()
    policy.load(envs(num_envs=1, **policy.env_arguments))
    (episodes,) = rollout([policy], envs, np.arange(4))
    assert np.isfinite(episodes.best_scores).all()


def test_dqn_is_told_how_to_get_a_grid_of_decisions(tmp_path):
    with pytest.raises(ValueError, match="give levels"):
        trained("dqn", tmp_path / "run", {"control": "schedule"}, **OFF_POLICY)
