"""The surfaces are those of the literature, and weighing their losses takes as many steps as an
independent loop counted.
"""

import math
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from autoloss_gym.core.task import Control, Keys
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.optimizers import SGD, Adam, BarzilaiBorwein
from autoloss_gym.tasks.surfaces.beale import Beale
from autoloss_gym.tasks.surfaces.rosenbrock import Rosenbrock
from studies.surfaces import experiments as surfaces
from studies.surfaces import figure as surfaces_figure
from studies.surfaces import study as surfaces_study
from tests.support.recording import assert_same_run, play
from tests.support.toy_tasks import keys_of

SURFACES = {"rosenbrock": Rosenbrock(), "beale": Beale()}
each_surface = pytest.mark.parametrize("task", SURFACES.values(), ids=SURFACES.keys())


def at(task, *point):
    """A run of the task that starts at this point."""
    return replace(task, start=point, start_width=0.0).reset(keys_of(1))


# Losses


@pytest.mark.parametrize(
    ("task", "point", "losses", "gradients"),
    [
        (Rosenbrock(), (-1.2, 1.0), [4.84, 19.36], [(-4.4, 0.0), (-211.2, -88.0)]),
        (Rosenbrock(a=2.0, b=3.0), (1.0, 2.0), [1.0, 3.0], [(-2.0, 0.0), (-12.0, 6.0)]),
        (
            Beale(),
            (2.0, 0.5),
            [0.25, 0.5625, 0.765625],
            [(-0.5, 2.0), (-1.125, 3.0), (-1.53125, 2.625)],
        ),
    ],
)
def test_losses_and_gradients_are_those_by_hand(task, point, losses, gradients):
    evaluation = task.measure(at(task, *point))
    torch.testing.assert_close(evaluation.losses, torch.tensor([losses]))
    norms = [math.hypot(*gradient) / math.sqrt(2) for gradient in gradients]
    torch.testing.assert_close(evaluation.gradient_norms, torch.tensor([norms]))
    for pair, (slope_x, slope_y) in enumerate(gradients):
        control = Control(weights=torch.eye(len(losses))[[pair]], step_size=torch.ones(1))
        moved = task.update(at(task, *point), control)[0].parameters["point"]
        rate = task.optimizer.learning_rate
        torch.testing.assert_close(
            moved, torch.tensor([[point[0] - rate * slope_x, point[1] - rate * slope_y]])
        )


@pytest.mark.parametrize(
    ("task", "point"),
    [(Rosenbrock(), (1.0, 1.0)), (Rosenbrock(a=-2.0, b=7.0), (-2.0, 4.0)), (Beale(), (3.0, 0.5))],
)
def test_every_loss_and_gradient_and_metric_is_zero_at_the_minimum(task, point):
    state = at(task, *point)
    evaluation = task.measure(state)
    for values in (
        evaluation.losses,
        evaluation.gradient_norms,
        task.validate(state),
        task.score(state),
    ):
        assert not values.any()


def test_the_metrics_are_the_distance_to_the_minimum_and_the_unweighted_sum_of_the_losses():
    state = at(Beale(), 0.0, 4.5)
    assert task_values(Beale(), state) == pytest.approx([5.0, 5.0, 1.5**2 + 2.25**2 + 2.625**2])
    assert task_values(Rosenbrock(), at(Rosenbrock(), -1.2, 1.0)) == pytest.approx([2.2, 2.2, 24.2])


def task_values(task, state):
    return [*task.validate(state)[0].tolist(), *task.score(state)[0].tolist()]


# Where runs begin


@each_surface
def test_problems_begin_all_over_the_square_around_the_start(task):
    wide = replace(task, start_width=0.8)
    points = wide.reset(keys_of(*range(400))).parameters["point"] - torch.tensor(task.start)
    assert points.abs().max() <= 0.4 + 1e-6
    assert (points.amax(0) > 0.39).all()
    assert (points.amin(0) < -0.39).all()
    problem, run = torch.tensor([1, 1, 2]), torch.tensor([3, 4, 3])
    first, same, other = task.reset(Keys(problem=problem, run=run)).parameters["point"]
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@each_surface
def test_without_width_every_problem_begins_at_the_start_itself(task):
    points = replace(task, start_width=0.0).reset(keys_of(1, 2)).parameters["point"]
    assert torch.equal(points, torch.tensor([task.start] * 2))


# Steps


@each_surface
def test_the_step_is_the_gradient_descent_of_that_name_with_the_learning_rate_that_is_given(task):
    name = f"AutoLoss/{type(task).__name__}-v1"
    arguments = {"learning_rate": 0.02, "step_bounds": [0.01, 0.5]}
    forms = {"barzilai_borwein_1": "long", "barzilai_borwein_2": "short"}
    for step, form in forms.items():
        made = gymnasium.make(name, step=step, **arguments).unwrapped.task
        assert made.optimizer == BarzilaiBorwein(
            learning_rate=0.02, form=form, lower=0.01, upper=0.5
        )
        assert replace(made, step="fixed").optimizer == SGD(learning_rate=0.02)
    assert gymnasium.make(name, **arguments).unwrapped.task.optimizer == SGD(learning_rate=0.02)
    assert replace(task, optimizer=Adam(learning_rate=0.1)).optimizer == Adam(learning_rate=0.1)


def test_barzilai_borwein_steps_of_changing_weights_follow_an_independent_loop():
    """The gradient whose change counts is the weighted one."""
    task, generator = (
        Rosenbrock(start_width=0.0, step="barzilai_borwein_2"),
        np.random.default_rng(0),
    )
    state = surfaces.start(task, 1, 1, torch.float64)
    point, previous = np.array(task.start), None
    for _ in range(40):
        weights = generator.dirichlet([1.0, 1.0])
        x, y = point
        h = weights @ np.array([[2 * (x - 1), 0.0], [-400 * x * (y - x * x), 200 * (y - x * x)]])
        step = 1e-3
        if previous is not None:
            moved, changed = point - previous[0], h - previous[1]
            step = np.clip(abs(moved @ changed) / (changed @ changed), 1e-4, 1e-1)
        previous, point = (point, h), point - step * h
        state, _ = task.update(
            state, Control(weights=torch.tensor(weights[None]), step_size=torch.ones(1).double())
        )
        np.testing.assert_allclose(state.parameters["point"][0], point, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"step": "barzilai_borwein"},
            "unknown step 'barzilai_borwein'; did you mean 'barzilai_borwein_",
        ),
        ({"step": "fixd"}, "did you mean 'fixed'"),
        (
            {"step": "barzilai_borwein_1", "step_bounds": [1.0, 0.1]},
            "lower=1.0, upper=0.1: expected numbers in this order",
        ),
        (
            {"step_bounds": [0.1]},
            r"step_bounds=\[0.1\]: expected a list of 2, each element a positive",
        ),
        (
            {"start": [0.0, math.nan]},
            r"start=\[0.0, nan\]: expected a list of 2, each element a number from -1000",
        ),
        ({"start_width": -1}, "start_width=-1: expected a number from 0 to 1000"),
        ({"a": math.inf}, "a=inf: expected a finite number"),
        ({"b": 0}, "b=0: expected a positive finite number"),
    ],
)
def test_bad_arguments_are_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        gymnasium.make("AutoLoss/Rosenbrock-v1", **arguments)
    assert "\n" not in str(error.value)


# Runs and batches


@pytest.mark.parametrize("step", ["fixed", "barzilai_borwein_1", "barzilai_borwein_2"])
@pytest.mark.parametrize("control", ["pair", "weights"])
@each_surface
def test_a_run_alone_gets_the_same_bits_as_in_a_batch(task, control, step):
    task = replace(task, step=step, max_steps=100)
    envs = AutoLossVectorEnv(task, 5, control=control)
    envs.action_space.seed(0)
    actions = np.stack(
        [envs.action_space.sample() for _ in range(110)]
    )  # over the end of the episode
    together = play(envs, actions, parameters=True)
    for i in (0, 4):
        alone = AutoLossVectorEnv(task, 1, control=control)
        assert_same_run(play(alone, actions[:, i : i + 1], seed=i, parameters=True), 0, together, i)


def test_a_run_whose_steps_are_too_long_ends_diverged_with_the_worst_score_and_its_neighbour_goes_on():
    envs = AutoLossVectorEnv(Rosenbrock(max_steps=40), 2, autoreset_mode="Disabled")
    envs.reset(seed=0)
    control = Control(weights=torch.ones(2, 2), step_size=torch.tensor([100.0, 1.0]))
    ended = np.zeros(2, dtype=bool)
    while not ended[0]:
        _, rewards, ended, _, infos = envs.step_control(control)
        assert np.isfinite(rewards).all()
    assert ended.tolist() == [True, False]
    assert infos["diverged"][0]
    assert infos["score"][0] == 100.0
    assert np.isfinite(infos["losses"]).all()


# Step counts


FIXED, BARZILAI_BORWEIN, BEALE = surfaces.EXPERIMENTS


def lines_of(experiment, rules, rate=None):
    """The lines of an experiment with these rules, and where it has several with this rate."""
    lines = experiment.lines
    return tuple(each for each in lines if each.rule in rules and rate in (None, each.rate))


@pytest.mark.parametrize(
    ("experiment", "rules", "rate"),
    [
        (BEALE, {"plain sum": 0.002, "Loss-weighted, β = 0.1": 0.002}, None),
        (FIXED, {"Loss-weighted, β = 0.1": 0.002}, 3e-3),
        (
            BARZILAI_BORWEIN,
            {
                "plain sum": 0.03,
                "equal weights": 0.03,
                "Original, β = 0.1": 0.03,
                "Loss-weighted, β = 0.1": 0.12,  # its range when the start moves by 1e-9
            },
            None,
        ),
    ],
    ids=["Beale", "fixed", "Barzilai-Borwein"],
)
def test_step_counts_are_those_of_the_reference(experiment, rules, rate, as_users_have_it):
    """Thousands of steps, for which the checks of annotations would be most of the time."""
    lines = lines_of(experiment, rules, rate)
    outcome = surfaces.play(replace(experiment, lines=lines), 10_000, 1, torch.float64)
    assert [line.rule for line in lines] == [*rules]
    for line, steps in zip(lines, outcome.steps[:, 0], strict=True):
        assert steps == pytest.approx(line.reference, rel=rules[line.rule])


@pytest.mark.parametrize("rule", ["Original, β = 0.1", "Loss-weighted, β = 0.1"])
def test_softadapt_diverges_where_the_step_is_too_long(rule):
    (line,) = [line for line in FIXED.lines if line.rule == rule and line.rate == 5e-3]
    outcome = surfaces.play(replace(FIXED, lines=(line,)), 100, 1, torch.float64)
    assert outcome.diverged.all()
    assert (outcome.steps == -1).all()


# The benchmark's table and picture


def test_the_table_says_what_arrived_what_did_not_and_what_diverged():
    lines = (
        surfaces.Line("a", 0.1, 100),
        surfaces.Line("b", 0.1, None, "diverged"),
        surfaces.Line("c", 0.1, 10),
    )
    steps, diverged = (
        np.array([[90, 110, 100], [-1, -1, -1], [-1, -1, -1]]),
        np.array([[False] * 3, [True] * 3, [False] * 3]),
    )
    outcome = surfaces.Outcome(steps, diverged, [])
    rows = surfaces_study.report(replace(BARZILAI_BORWEIN, lines=lines), outcome).splitlines()[2:]
    assert rows == [
        "| a | 0.1 | 90 | 100 | 0.900 | 100 | 90 to 110 |",
        "| b | 0.1 | diverged | diverged |  |  |  |",
        "| c | 0.1 | not arrived | 10 |  |  |  |",
    ]


def test_the_picture_shows_every_line_of_the_first_learning_rate(tmp_path):
    outcomes = [
        surfaces.play(experiment, 10, 2, torch.float64) for experiment in surfaces.EXPERIMENTS
    ]
    panels = surfaces_study.panels(outcomes)
    assert [len(panel.paths) for panel in panels] == [4, 5, 4]
    assert all(path.shape == (11, 2) for panel in panels for path in panel.paths.values())
    assert panels[0].surface(np.array([[-1.2]]), np.array([[1.0]])) == pytest.approx(
        np.array([[24.2]])
    )
    surfaces_figure.draw(panels, surfaces.TOLERANCE, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
