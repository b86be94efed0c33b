"""The picture of a run."""

import gymnasium
import numpy as np
import pytest

from autoloss_gym.core.field_task import Field
from autoloss_gym.environment.rendering import Trace, image_grid
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tasks.physics.pinn import PINN
from autoloss_gym.tasks.translation.multi_task_translation import MultiTaskTranslation
from tests.support.toy_tasks import Painter

SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20}


def make(num_envs=2, render_mode="rgb_array"):
    return gymnasium.make_vec(
        "AutoLoss/QuadraticRegression-v1", num_envs=num_envs, render_mode=render_mode, **SMALL
    )


def test_every_run_has_a_picture_of_its_own():
    envs = make()
    envs.reset(seed=0)
    for _ in range(10):
        envs.step(np.array([0, 1]))
    first, second = envs.render()
    assert first.shape == second.shape == (400, 600, 3)
    assert first.dtype == np.uint8
    assert (first != second).any()


def test_the_picture_goes_on_with_the_run_and_starts_over_with_the_next():
    envs = make(num_envs=1)
    envs.reset(seed=0)
    blank = envs.render()[0]
    envs.step(np.array([0]))
    assert (envs.render()[0] != blank).any()
    envs.reset(seed=0)
    np.testing.assert_array_equal(envs.render()[0], blank)


def test_without_a_render_mode_there_is_no_picture():
    assert make(render_mode=None).render() is None


# Images


@pytest.mark.parametrize(
    ("count", "rows", "columns"),
    [(1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, 2), (5, 2, 3), (16, 4, 4), (17, 4, 5)],
)
def test_a_grid_has_about_as_many_rows_as_columns_and_a_white_border(count, rows, columns):
    grid = image_grid(np.zeros((count, 3, 5, 3), np.float32))
    assert (grid.shape, grid.dtype) == ((rows * 4 + 1, columns * 6 + 1, 3), np.uint8)
    assert (grid[::4] == 255).all()
    assert (grid[:, ::6] == 255).all()
    assert (grid == 0).sum() == count * 3 * 5 * 3


def test_images_stand_in_the_grid_in_their_order_with_their_colours():
    images = np.zeros((3, 1, 2, 3), np.float32)
    images[0, 0] = [[0, 0.2, 1], [0.4, 0.6, 0.8]]
    images[1] = 0.5
    images[2, 0] = [
        [2.0, -1.0, np.nan],
        [1, 1, 1],
    ]  # what is no colour is the nearest one, or black
    white, half = [255] * 3, [128] * 3
    line = [white] * 7
    assert image_grid(images).tolist() == [
        line,
        [white, [0, 51, 255], [102, 153, 204], white, half, half, white],
        line,
        [white, [255, 0, 0], white, white, white, white, white],
        line,
    ]


def test_gray_images_have_three_equal_channels():
    images = np.random.default_rng(0).random((4, 2, 2, 1), dtype=np.float32)
    np.testing.assert_array_equal(image_grid(images), image_grid(images.repeat(3, axis=3)))


@pytest.mark.parametrize("array", ["numpy", "torch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture_of_a_task_that_makes_images_shows_those_of_each_run_beside_the_curves(
    array, channels
):
    envs = AutoLossVectorEnv(Painter(channels=channels), 2, array=array, render_mode="rgb_array")
    envs.reset(seed=0)
    blank = envs.render()
    for _ in range(3):
        envs.step(np.array([0, 1]))
    bright, dark = envs.render()
    assert bright.shape == dark.shape == (400, 900, 3)
    assert bright.dtype == np.uint8
    np.testing.assert_array_equal(*blank)
    beside = [picture[:, 610:].astype(float) for picture in (bright, blank[0], dark)]
    shown = [np.unique(picture[picture < 255]).tolist() for picture in beside]
    offsets = np.arange(16 + 1 + 2)  # of image, row and column
    for values, brightness in zip(shown, (11, 8, 5), strict=True):
        expected = np.rint(255 * (brightness + offsets) / 32)
        assert set(expected) == set(values)


@pytest.mark.parametrize("equation", ["oscillator", "helmholtz"])
def test_the_picture_of_a_task_of_functions_shows_solution_and_network_beside_the_curves(equation):
    envs = AutoLossVectorEnv(PINN(equation=equation), 2, render_mode="rgb_array")
    envs.reset(seed=0)
    start = envs.render()
    envs.step(np.array([0, 1]))
    for before, after in zip(start, envs.render(), strict=True):
        assert after.shape == (400, 900, 3)
        assert (before[:, 610:] != after[:, 610:]).any()
    assert (start[0][:, 610:] != start[1][:, 610:]).any()


@pytest.mark.parametrize("shape", [(5,), (3, 4)])
def test_a_field_that_is_not_finite_can_be_drawn(shape):
    ends = (0.0,) * len(shape), (1.0,) * len(shape)
    found = np.full(shape, np.nan, np.float32)
    field = Field(("t", "x")[: len(shape)], *ends, np.zeros(shape, np.float32), found)
    (picture,) = Trace(Painter(), 1).draw(np.array([0]), [field])
    assert (picture[:, 610:] != 255).any()


@pytest.mark.parametrize("decades", [2, 6, 9])
def test_an_axis_of_losses_has_ticks_over_any_number_of_decades(decades):
    trace = Trace(Painter(minimize=True), 1)
    trace._losses[::2], trace._losses[1::2] = 1.0, 10.0**decades
    trace._validation[:] = 1.0
    (picture,) = trace.draw(np.array([10]))
    # Numbers stand all along the axis; without any, only its name stands at its middle.
    rows = np.flatnonzero((picture[20:260, 30:92] < 128).any(axis=(1, 2)))
    assert rows.max() - rows.min() > 100


def test_a_picture_changes_nothing_in_its_run():
    first, twin = (AutoLossVectorEnv(Painter(), 1, render_mode="rgb_array") for _ in range(2))
    for envs in (first, twin):
        envs.reset(seed=0)
    for step in range(5):
        first.render()
        for one, other in zip(
            first.step(np.array([step % 2]))[:3], twin.step(np.array([step % 2]))[:3], strict=True
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("minimize", [True, False])
@pytest.mark.parametrize("values", [(1e-5, 3e-5), (1, 1e6), (-3e-3, 2e-3), (-2e4, 1e4)], ids=str)
def test_nothing_of_a_picture_is_cut_off_at_its_edges(values, minimize):
    trace = Trace(Painter(minimize=minimize), 1)
    trace._losses[::2], trace._losses[1::2] = values
    trace._validation[::2], trace._validation[1::2] = values
    (picture,) = trace.draw(np.array([10]))
    for edge in (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]):
        assert (edge == 255).all()
    assert (picture != 255).any()


@pytest.mark.parametrize("minimize", [True, False])
def test_a_metric_that_is_maximised_has_an_axis_of_its_own(minimize):
    """Beside losses of 1, a metric of 1000 hides how they move unless it has."""
    from matplotlib.figure import Figure

    trace, figure = Trace(Painter(minimize=minimize), 1), Figure()
    trace._losses[:], trace._validation[:] = 1.0, 1000.0
    trace._draw_curves(figure.subplots(), 0, 10)
    limits = [axes.get_ylim()[1] for axes in figure.axes]
    assert len(limits) == (1 if minimize else 2)
    assert (limits[0] > 1000) == minimize
    assert [axes.get_ylabel() for axes in figure.axes][1:] == (
        [] if minimize else ["validation brightness (black)"]
    )


def test_the_picture_of_a_task_that_translates_shows_sentences_beside_the_curves():
    small = {"num_sentences": (6, 6, 6), "num_held_out": 6, "num_test": 4, "hidden_size": 4}
    task = MultiTaskTranslation(**small, batch_size=2, max_steps=50)
    envs = AutoLossVectorEnv(task, 2, render_mode="rgb_array")
    envs.reset(seed=0)
    first, second = envs.render()
    assert first.shape == (400, 900, 3)
    beside = slice(605, None)
    assert (first[:, beside] < 128).any()
    assert (first[:, beside] != second[:, beside]).any()
    sentences = envs.samples(3)
    assert [len(each) for each in sentences] == [3, 3]
    assert all(each.source and each.reference for run in sentences for each in run)
