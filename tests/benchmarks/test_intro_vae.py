"""`benchmarks/intro_vae.py` compares what does the same."""

import numpy as np
import pytest
import torch

from autoloss_gym import random
from autoloss_gym.core.task import Control, Keys
from autoloss_gym.tasks.images.intro_vae import IntroVAE
from benchmarks import intro_vae
from benchmarks.intro_vae_loop import BareIntroVAE

# Some images of the first batches are within the margin, and some beyond it.
SMALL = {"filters": 4, "latent_size": 6, "batch_size": 8, "num_held_out": 8, "margin": 1.0}


def start(task):
    key = random.fold_in(torch.arange(1), "test")
    return task.reset(Keys(problem=key, run=key))


def as_bare(task, block, values):
    """Parameters of a block of one run, in the order and the shapes of the loop's."""
    height, width, channels = task.coders.architecture.base_shape
    parameters = []
    for name in [name for name in values if not name.endswith("_bias")]:
        weight, bias = values[name][0], values[f"{name}_bias"][0]
        if name == "dense" and block == "encoder":  # images are channels first in the loop
            weight = weight.T.unflatten(1, (height, width, channels)).movedim(3, 1).flatten(1)
        elif name == "dense":
            weight = weight.T.unflatten(0, (height, width, channels)).movedim(2, 0).flatten(0, 2)
            bias = bias.unflatten(0, (height, width, channels)).movedim(2, 0).flatten()
        parameters += [weight, bias]
    return parameters


def filled(task, state):
    model = BareIntroVAE(task)
    values = task.unpack(state.parameters)
    for block in ("encoder", "decoder"):
        given = as_bare(task, block, values[block])
        own = list(getattr(model, block).parameters())
        assert [each.shape for each in own] == [each.shape for each in given]
        for parameter, each in zip(own, given, strict=True):
            parameter.data.copy_(each)
    return model


def drawn(task, state):
    """What the step that comes next draws, as the loop takes it."""
    batch = task.batch(state.data, random.fold_in(state.keys.run, state.steps))
    return batch["images"][0].permute(0, 3, 1, 2), batch["noise"][0], batch["prior"][0]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_losses_and_first_updates_of_the_loop_are_those_of_the_environment(order):
    task = IntroVAE(**SMALL)
    state = start(task)
    model = filled(task, state)
    for player in order:
        loss = model.update(player, *drawn(task, state))
        control = Control(weights=torch.eye(2)[[player]], step_size=torch.ones(1))
        state, evaluation = task.update(state, control)
        torch.testing.assert_close(evaluation.losses[0, player], loss, rtol=1e-5, atol=0)
    after = task.unpack(state.parameters)
    for block in ("encoder", "decoder"):
        expected = as_bare(task, block, after[block])
        for own, each in zip(getattr(model, block).parameters(), expected, strict=True):
            torch.testing.assert_close(own.data, each, rtol=0, atol=1e-5)


def test_the_loop_draws_training_images_and_normal_numbers():
    task = IntroVAE(**SMALL)
    model = BareIntroVAE(task)
    images, noise, prior = model.draw()
    assert images.shape == (8, 1, 8, 8)
    assert noise.shape == prior.shape == (8, 6)
    assert images.min() == -1
    assert images.max() == 1
    assert (noise != prior).all()


@pytest.mark.parametrize("argument", [{"form": "released"}, {"arms": "parts"}])
def test_what_the_loop_does_not_train_is_refused(argument):
    with pytest.raises(ValueError, match="expected 'paper' and 'players'"):
        BareIntroVAE(IntroVAE(**SMALL, **argument))


def test_every_side_makes_its_steps_and_none_validates(monkeypatch):
    monkeypatch.setattr(IntroVAE, "presets", {"tiny": SMALL})
    chosen = intro_vae.sides("tiny", 4)
    monkeypatch.setattr(IntroVAE, "validate", None)
    made = {name: play() for name, play in chosen.items()}
    assert made == {name: 32 if name == intro_vae.BATCHED else 4 for name in chosen}


def test_a_step_with_parts_is_compared_with_two_of_players():
    rates = {name: np.array([100.0, 100.0]) for name, _, _ in intro_vae.COMPARISONS}
    rates[intro_vae.PARTS] = np.array([40.0, 40.0])
    row = intro_vae.report("faces", rates).splitlines()[5]
    assert row.split(" | ")[1:] == ["25.0", f"2 × {intro_vae.SINGLE}", "1.250 [1.250, 1.250] |"]
