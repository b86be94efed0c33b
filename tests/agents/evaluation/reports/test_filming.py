"""The film of an evaluation."""

import numpy as np
from PIL import Image

from agents.environments import EnvironmentMaker
from agents.evaluation.comparison import run_benchmark
from agents.evaluation.entrants import make_entrants
from agents.evaluation.reports.filming import film, winner
from agents.learners.film import FILM
from agents.policies.grammar import parse_specification
from autoloss_gym.environment.rendering import image_grid
from tests.support.toy_tasks import Painter

ID = "tests.support.toy_tasks:Toy/Painter-v0"


def picture(brightness):
    """The grid of a Painter's images at this brightness."""
    offsets = np.arange(16)[:, None, None] + np.arange(2)[:, None] + np.arange(3)
    return image_grid(((brightness + offsets) / 32).astype(np.float32)[..., None])


def maker(split="test"):
    return EnvironmentMaker(ID, {"max_steps": 12, "split": split})


def test_the_film_is_of_the_whole_run_of_one_policy(tmp_path):
    (entrant,) = make_entrants([parse_specification("always:raise")], Painter(max_steps=12), ID)
    film(entrant.candidates[0], maker(), 0, tmp_path)
    with Image.open(tmp_path / FILM) as gif:
        assert gif.n_frames == 2  # at the validations after 4 and 8 of 12 steps
        for index, brightness in enumerate((12, 16)):
            gif.seek(index)
            frame = np.asarray(gif.convert("RGB"))
            factor = frame.shape[0] // picture(8).shape[0]
            np.testing.assert_array_equal(frame[::factor, ::factor], picture(brightness))


def test_the_winner_is_the_policy_with_the_best_mean_that_is_one_policy():
    specifications = [parse_specification(text) for text in ("random", "1:1", "always:lower")]
    entrants = make_entrants(specifications, Painter(max_steps=12), ID)
    benchmark = run_benchmark(entrants, maker, "test", 4, 0)
    best = winner(benchmark, entrants)
    top = benchmark.rows[0]
    assert best is not None
    assert best.label == (top.chosen or top.label)
    for entrant in entrants:
        entrant.mode = "each"
    assert winner(benchmark, entrants) is None
