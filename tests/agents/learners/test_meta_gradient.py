"""Tuning by meta-gradients: it finds what a grid search finds, and goes on after a kill."""

import itertools

import gymnasium
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import autoloss_gym
from agents.command_line import main
from agents.commands.train import train as train_command
from agents.configuration import ENVIRONMENT_DEFAULTS, TrainingConfiguration
from agents.learners.checkpoints import CHECKPOINT
from agents.learners.export import export
from agents.learners.groups.base_files import SCHEDULE, load_base, load_training_runs
from agents.learners.learner import make_learner
from agents.learners.meta_gradient import MetaGradientLearner
from agents.learners.meta_gradients.descent import Descent
from agents.learners.meta_gradients.options import MetaGradientOptions
from agents.learners.meta_gradients.tuned import Tuned
from agents.learners.meta_gradients.unrolling import meta_gradient
from agents.policies.trained.trained_policy import TrainedPolicy
from agents.run_folders import save_configuration
from autoloss_gym.optimizers import SGD
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from tests.support.toy_tasks import keys_of

ID = "AutoLoss/QuadraticRegression-v1"
QUADRATIC = "AutoLoss/QuadraticStepSize-v0"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20, "validate_every": 5}
HELD = ENVIRONMENT_DEFAULTS["meta_gradient"]


def configuration(env=ID, env_kwargs=SMALL, num_envs=4, meta_steps=5, **hyperparameters):
    return TrainingConfiguration(
        algo="meta_gradient",
        env=env,
        env_kwargs=HELD | env_kwargs,
        num_envs=num_envs,
        n_timesteps=meta_steps * num_envs,
        seed=3,
        hyperparameters=hyperparameters,
        checkpoint_every=2 * num_envs,
    )


def train(folder, **arguments):
    chosen = configuration(**arguments)
    folder.mkdir(exist_ok=True)
    save_configuration(folder, chosen)
    learner = make_learner(chosen)
    learner.train(folder)
    return learner


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meta_gradient") / "whole"
    train(folder, loss_weights=True, knots=2)
    return folder


def test_a_training_goes_on_after_a_kill_to_the_same_bits(whole, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    save = MetaGradientLearner._save

    def save_and_die(learner, folder):
        save(learner, folder)
        raise Killed

    monkeypatch.setattr(MetaGradientLearner, "_save", save_and_die)
    with pytest.raises(Killed):
        train(tmp_path, loss_weights=True, knots=2)
    monkeypatch.undo()
    assert load_file(tmp_path / CHECKPOINT)  # of the second of five meta-steps
    train(tmp_path, loss_weights=True, knots=2)
    assert (tmp_path / SCHEDULE).read_bytes() == (whole / SCHEDULE).read_bytes()
    assert load_training_runs(whole) == 20
    header, *rows = (tmp_path / "progress.csv").read_text().splitlines()
    later = (tmp_path / "progress.csv_from_8.csv", *tmp_path.glob("progress*_from_8*"))
    assert len(rows) == 2
    assert any(path.exists() for path in later)
    assert "train/step_size_1" in header
    assert "train/weight_1_l1" in header


def test_what_was_tuned_is_played_by_the_run_folder_and_by_its_controller(whole, tmp_path):
    export(whole).save(tmp_path / "controller.safetensors")
    controller = autoloss_gym.Controller.load(tmp_path / "controller.safetensors")
    policy = TrainedPolicy(whole, ID)
    base = load_base(whole)
    assert len(base["step_size"]) == 2
    assert controller.control_arguments["base"] == base
    assert controller.training_runs == 20
    envs = gymnasium.make_vec(ID, num_envs=2, **{**SMALL, **controller.env_arguments})
    policy.load(envs)
    for player in (policy, controller):
        player.reset(np.arange(2))
        observations, infos = envs.reset(seed=0)
        actions = player.act(observations, infos)
        np.testing.assert_array_equal(actions, np.zeros((2, 2)))


def test_a_quadratic_is_tuned_to_its_best_step_size(tmp_path):
    kwargs = {
        "eigenvalues": [4.0, 1.0],
        "start": [0.6, 0.8],
        "learning_rate": 1.0,
        "max_steps": 10,
        "validate_every": 1,
    }
    learner = train(
        tmp_path,
        env=QUADRATIC,
        env_kwargs=kwargs,
        num_envs=1,
        meta_steps=30,
        start=0.2,
        meta_learning_rate=0.1,
    )
    schedule = learner._descent.tuned.schedule(learner._descent.numbers)
    assert schedule.step_size[0] == pytest.approx(0.3866, abs=0.02)


@pytest.mark.parametrize(
    ("tuned", "axes"),
    [
        ({}, [np.arange(-4, 0, 0.25)]),
        ({"step_size": "fixed", "loss_weights": True}, [np.arange(-3, 4, 0.5)]),
        ({"loss_weights": True}, [np.arange(-1, 2, 0.5), np.arange(-4, 0, 0.5)]),
    ],
)
def test_the_regression_is_tuned_as_by_a_grid_search(tuned, axes):
    task = QuadraticRegression(
        dimension=4,
        num_samples=12,
        max_steps=30,
        validate_every=5,
        optimizer=SGD(learning_rate=0.005),
    )
    options = MetaGradientOptions(objective="final", meta_learning_rate=0.2, **tuned)
    problems = list(range(12))

    def objectives(points):
        """Mean over the problems, of every row of logarithms."""
        numbers = torch.tensor(points).repeat_interleave(12, dim=0)
        found = meta_gradient(task, keys_of(*problems * len(points)), numbers, options)
        return found.values.view(len(points), 12).mean(dim=1)

    grid = list(itertools.product(*axes))
    values = objectives(grid)

    descent = Descent(Tuned(options, 2, 30))
    for _ in range(40):
        numbers = descent.numbers.repeat(12, 1)
        descent.step(meta_gradient(task, keys_of(*problems), numbers, options))
    found = descent.numbers.tolist()
    assert objectives([found])[0] <= values.min() * 1.005
    if len(axes) == 1:  # two numbers make up a valley that is nearly flat
        spacing = axes[0][1] - axes[0][0]
        assert abs(found[0] - grid[int(values.argmin())][0]) <= spacing


def test_gradients_that_are_not_finite_are_left_out_counted_and_said_once(tmp_path, capsys):
    kwargs = {"learning_rate": 1.0, "max_steps": 80}
    learner = train(
        tmp_path,
        env=QUADRATIC,
        env_kwargs=kwargs,
        num_envs=4,
        meta_steps=3,
        start=1e20,
        objective="final",
    )
    assert learner._descent.skipped == 12
    assert learner._descent.numbers.isfinite().all()
    assert capsys.readouterr().err.count("were not finite") == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"env_kwargs": {"control": "pair", "control_arguments": {}}}, "leave out control"),
        ({"env_kwargs": {"control_arguments": {"decide_at": [0, 0.5]}}}, "leave out control"),
        ({"step_size": "plain", "knots": 2}, "expected 1 knot"),
        ({"step_size": "fixed"}, "nothing is tuned"),
        ({"env": QUADRATIC, "env_kwargs": {}, "loss_weights": True}, "share no block"),
        ({"num_envs": 1 << 19, "meta_steps": 3}, "give a smaller --n-timesteps"),
        ({"stepsize": "log"}, "stepsize"),
    ],
)
def test_what_cannot_be_tuned_is_refused_in_one_line(changes, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        make_learner(configuration(**changes))
    assert "\n" not in str(caught.value)


def test_the_command_trains_and_leaves_a_controller(tmp_path):
    given = ["--env", QUADRATIC, "--algo", "meta_gradient", "--num-envs", "8"]
    given += ["--n-timesteps", "16", "-P", "step_size=plain", "-f", str(tmp_path)]
    assert not main(lambda: train_command(given, "train"))
    folder = tmp_path / "meta_gradient" / "AutoLoss-QuadraticStepSize-v0_1"
    assert autoloss_gym.Controller.load(folder).label == "meta_gradient"
