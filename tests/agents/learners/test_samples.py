"""Pictures of what a model makes, while a controller is trained."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from stable_baselines3.common.logger import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents.configuration import TrainingConfiguration
from agents.learners.checkpoints import WEIGHTS
from agents.learners.film import FILM, Film
from agents.learners.learner import make_learner
from agents.learners.sample_log import SampleLog
from autoloss_gym.environment.rendering import image_grid
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from tests.support.toy_tasks import SMALL, Painter

TAG = "environment/samples"
HYPERPARAMETERS = {
    "ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 1},
    "dqn": {"learning_starts": 50, "buffer_size": 500, "batch_size": 8},
    "reinforce": {},
}


def picture(brightness):
    """The grid of a Painter's images at this brightness."""
    offsets = np.arange(16)[:, None, None] + np.arange(2)[:, None] + np.arange(3)
    return image_grid(((brightness + offsets) / 32).astype(np.float32)[..., None])


def logged(log):
    logger = Logger(None, [])
    log.record(logger)
    assert set(logger.name_to_value) <= {TAG}
    return logger.name_to_value[TAG].image if logger.name_to_value else None


@pytest.mark.parametrize("array", ["numpy", "torch"])
@pytest.mark.parametrize("repeat", [1, 2])
def test_the_picture_is_of_the_run_that_ended_last_at_its_last_validation_before_the_end(
    array, repeat
):
    envs = AutoLossVectorEnv(Painter(max_steps=12), 2, array=array, repeat=repeat)
    log = SampleLog(envs)
    envs.reset(seed=0)
    np.testing.assert_array_equal(logged(log), picture(8))  # nothing is kept yet: the run as it is
    for step in range(1, 12 // repeat + 1):
        ended = envs.step(np.array([0, 1]))[2]
        log.watch(ended=bool(ended[0]))
        elapsed = step * repeat
        expected = (
            8 + elapsed if elapsed < 4 else 12 if elapsed < 8 else 16
        )  # of the present run, until one has ended
        np.testing.assert_array_equal(logged(log), picture(expected))
    for _ in range(6 // repeat):
        log.watch(ended=bool(envs.step(np.array([1, 1]))[2][0]))
    np.testing.assert_array_equal(logged(log), picture(16))


def gif(folder):
    """Frames of the film at the size of the samples' grid, uint8 (frames, rows, columns, 3)."""
    with Image.open(folder / FILM) as film:
        frames = []
        for index in range(film.n_frames):
            film.seek(index)
            frames.append(np.asarray(film.convert("RGB")))
    factor = frames[0].shape[0] // picture(8).shape[0]
    return np.stack(frames)[:, ::factor, ::factor]


@pytest.mark.parametrize("repeat", [1, 2])
def test_the_film_is_of_the_run_that_ended_last_and_before_any_has_of_the_present_one(
    repeat, tmp_path
):
    envs = AutoLossVectorEnv(Painter(max_steps=12), 2, repeat=repeat)
    log = SampleLog(envs)
    envs.reset(seed=0)
    log.save(tmp_path)
    assert not (tmp_path / FILM).exists()  # there is no picture yet
    for _ in range(4 // repeat):
        log.watch(ended=bool(envs.step(np.array([0, 1]))[2][0]))
    log.save(tmp_path)
    np.testing.assert_array_equal(gif(tmp_path), [picture(12)])
    for _ in range(12 // repeat):
        log.watch(ended=bool(envs.step(np.array([0, 1]))[2][0]))
    log.save(tmp_path)
    np.testing.assert_array_equal(gif(tmp_path), [picture(12), picture(16)])


def test_a_film_of_a_long_run_has_at_most_a_hundred_frames_at_equal_distances_and_the_newest():
    film = Film()
    for index in range(1001):
        film.add(np.full((2, 2, 3), index % 256, dtype=np.uint8))
        assert len(film.frames()) <= 101
        assert film.frames()[-1][0, 0, 0] == index % 256
    values = np.array([frame[0, 0, 0] for frame in film.frames()], dtype=int)
    distances = np.diff(values) % 256
    assert len(set(distances[:-1])) == 1
    assert len(values) > 50


def test_a_training_without_pillow_says_how_to_get_the_film_and_goes_on(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    film = Film()
    film.add(picture(8))
    film.save(tmp_path)
    film.save(tmp_path)
    assert capsys.readouterr().err == (
        "no samples.gif: it needs Pillow: pip install 'autoloss_gym[images]'\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("algo", HYPERPARAMETERS)
def test_a_training_leaves_a_film_where_the_task_makes_images(algo, tmp_path):
    make_learner(configuration(algo)).train(tmp_path)
    frames = gif(tmp_path)
    assert len(frames) >= 2
    assert any((frames[0] != frame).any() for frame in frames)


def test_a_task_without_images_logs_none():
    envs = AutoLossVectorEnv(SMALL, 1)
    log = SampleLog(envs)
    envs.reset(seed=0)
    log.watch(ended=False)
    assert logged(log) is None


def configuration(algo, env="tests.support.toy_tasks:Toy/Painter-v0", **env_kwargs):
    return TrainingConfiguration(
        algo=algo,
        env=env,
        env_kwargs=env_kwargs,
        num_envs=2,
        n_timesteps=960,
        seed=0,
        hyperparameters=HYPERPARAMETERS[algo],
    )


def events(folder):
    found = EventAccumulator(str(folder), size_guidance={"images": 0})
    found.Reload()
    return found


@pytest.mark.parametrize("algo", HYPERPARAMETERS)
def test_training_logs_a_picture_every_tenth_for_tensorboard_alone(algo, tmp_path):
    make_learner(configuration(algo)).train(tmp_path)
    images = events(tmp_path).Images(TAG)
    steps = [image.step for image in images]
    assert steps == sorted(set(steps))
    assert 8 <= len(steps) <= 10
    assert 960 in steps
    for image in images:
        pixels = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)))
        assert any(
            np.array_equal(pixels, picture(brightness)) for brightness in range(8 - 20, 8 + 21)
        )
    header, *rows = (tmp_path / "progress.csv").read_text().splitlines()
    assert {"environment/best_score", "environment/diverged", "environment/collapsed"} <= set(
        header.split(",")
    )
    assert "samples" not in header
    assert len(rows) >= 10


def test_a_task_without_images_leaves_no_picture_among_the_events(tmp_path):
    small = {"dimension": 4, "num_samples": 20, "max_steps": 20, "validate_every": 5}
    make_learner(configuration("ppo", "AutoLoss/QuadraticRegression-v1", **small)).train(tmp_path)
    assert events(tmp_path).Tags()["images"] == []
    assert events(tmp_path).Tags()["scalars"] != []
    assert not (tmp_path / FILM).exists()


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("algo", HYPERPARAMETERS)
def test_a_training_with_pictures_goes_on_to_the_weights_of_one_that_was_never_stopped(
    algo, tmp_path
):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    make_learner(configuration(algo)).train(tmp_path / "whole")
    stopped = make_learner(configuration(algo))
    save = stopped._save

    def die(folder):
        save(folder)
        raise Killed

    stopped._save = die
    with pytest.raises(Killed):
        stopped.train(tmp_path / "killed")
    torch.manual_seed(999)
    make_learner(configuration(algo)).train(tmp_path / "killed")
    whole, resumed = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_training_logs_translations_for_tensorboard_alone(tmp_path):
    small = {
        "num_sentences": (6, 6, 6), "num_held_out": 6, "num_test": 4, "hidden_size": 4,
        "embedding_size": 4, "batch_size": 2, "max_steps": 100,
    }  # fmt: skip
    chosen = configuration("ppo", "AutoLoss/MultiTaskTranslation-v0", **small)
    make_learner(dataclasses.replace(chosen, n_timesteps=200)).train(tmp_path)
    found = events(tmp_path)
    (tag,) = [tag for tag in found.Tags()["tensors"] if "translations" in tag]
    text = found.Tensors(tag)[-1].tensor_proto.string_val[0].decode()
    header, _, *rows = text.splitlines()
    assert header == "| sentence | meaning | translation |"
    assert len(rows) == 5
    assert "translations" not in (tmp_path / "progress.csv").read_text()
