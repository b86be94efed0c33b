"""The GAN against single models written with torch.nn, its losses by hand, and what its scores are
made of.
"""

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

import autoloss_gym
from autoloss_gym import random
from autoloss_gym.core.task import Control, Keys
from autoloss_gym.data.images import load_images
from autoloss_gym.environment.vector_env import AutoLossVectorEnv
from autoloss_gym.tasks.images.image_gan import ImageGAN
from autoloss_gym.tools import tree
from tests.support.recording import assert_same_run, play

ID = "AutoLoss/ImageGAN-v1"
SMALL = {
    "filters": 8,
    "batch_size": 8,
    "num_held_out": 32,
    "num_test": 64,
    "max_steps": 20,
    "validate_every": 10,
}
ARCHITECTURES = [
    {},
    {"batch_norm": True},
    {"kernel_size": 5, "generator_activation": "leaky_relu", "discriminator_activation": "relu"},
]


def keys(num_envs, split="train"):
    problem = random.fold_in(torch.arange(num_envs), "test")
    return Keys(problem=problem, run=random.fold_in(problem, "run"), split=split)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """Colour images of 32 × 32 without labels."""
    path = tmp_path_factory.mktemp("images") / "x.npz"
    np.savez(
        path, images=np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    )
    return str(path)


class ChannelsFirst(nn.Module):
    def forward(self, images):
        return images.permute(0, 3, 1, 2)


class ChannelsLast(nn.Module):
    def forward(self, images):
        return images.permute(0, 2, 3, 1)


class Single(nn.Module):
    """The players of the run `row` as torch.nn models."""

    def __init__(self, task, state, row):
        super().__init__()
        self.task = task
        parameters = task.unpack(state.parameters)
        padding, output_padding = {4: (1, 0), 5: (2, 1)}[task.kernel_size]
        _, size, channels = task.image_shape
        doublings = 2 if size < 32 else 3
        base, widths = size // 2**doublings, [task.filters * 2**i for i in range(doublings)]
        generator = parameters["generator"]
        dense = self._filled(
            nn.Linear(task.latent_size, widths[-1] * base * base), generator, "dense", row
        )
        layers = [dense, nn.Unflatten(1, (base, base, widths[-1])), ChannelsFirst()]
        for index, (inputs, outputs) in enumerate(
            zip(widths[::-1], [*widths[-2::-1], channels], strict=True)
        ):
            layers += self._middle(generator, index, inputs, task.generator_activation, row)
            module = nn.ConvTranspose2d(
                inputs, outputs, task.kernel_size, 2, padding, output_padding
            )
            layers.append(self._filled(module, generator, f"double_{index}", row))
        self.generator = nn.Sequential(*layers, nn.Tanh())
        discriminator, layers = parameters["discriminator"], []
        for index, (inputs, outputs) in enumerate(
            zip([channels, *widths[:-1]], widths, strict=True)
        ):
            module = nn.Conv2d(inputs, outputs, task.kernel_size, 2, padding)
            layers.append(self._filled(module, discriminator, f"halve_{index}", row))
            layers += self._middle(
                discriminator, index, outputs, task.discriminator_activation, row
            )
        dense = self._filled(nn.Linear(widths[-1] * base * base, 1), discriminator, "dense", row)
        self.discriminator = nn.Sequential(*layers, ChannelsLast(), nn.Flatten(), dense)

    def _filled(self, module, values, name, row):
        weight = values[name][row]
        module.weight.data.copy_(weight.T if name == "dense" else weight)
        module.bias.data.copy_(values[f"{name}_bias"][row])
        return module

    def _middle(self, values, index, width, activation, row):
        layers = [nn.ReLU() if activation == "relu" else nn.LeakyReLU(0.2)]
        if f"norm_{index}_scale" in values:
            norm = nn.BatchNorm2d(width)
            norm.weight.data.copy_(values[f"norm_{index}_scale"][row])
            norm.bias.data.copy_(values[f"norm_{index}_shift"][row])
            layers.insert(0, norm)
        return layers

    def images_of(self, rows):
        images = load_images(self.task.dataset, self.task.data_dir, self.task.size).images[
            rows.numpy()
        ]
        images = images / 255 if images.dtype == np.uint8 else images
        return torch.from_numpy(np.moveaxis(images, 3, 1).astype(np.float32)) * 2 - 1

    def losses(self, rows, latents):
        """Non-saturating loss of the generator, and the loss of the discriminator."""
        generated, real = self.generator(latents), self.images_of(rows)
        criterion, ones = nn.BCEWithLogitsLoss(), torch.ones(len(latents), 1)
        odds = self.discriminator(generated)
        fooled = criterion(self.discriminator(generated.detach()), 0 * ones)
        return criterion(odds, ones), (criterion(self.discriminator(real), ones) + fooled) / 2


def norm_of(gradients):
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    return flat.norm() / flat.numel() ** 0.5


def drawn(task, state, row):
    """Rows and latent numbers of the next step of a run."""
    batch = task.batch(state.data, random.fold_in(state.keys.run, state.steps))
    return batch["rows"][row], batch["latents"][row]


@pytest.mark.parametrize("arguments", ARCHITECTURES, ids=str)
def test_losses_and_norms_are_those_of_single_models(arguments):
    check_losses_and_norms(ImageGAN(**SMALL, **arguments))


def test_losses_and_norms_of_colour_images_of_32_pixels_are_those_of_single_models(unlabelled):
    check_losses_and_norms(ImageGAN(**SMALL, dataset=unlabelled, batch_norm=True))


def check_losses_and_norms(task):
    state = task.reset(keys(3))
    evaluation = task.measure(state)
    for row in range(3):
        model = Single(task, state, row)
        losses = model.losses(*drawn(task, state, row))
        torch.testing.assert_close(evaluation.losses[row], torch.stack(losses).detach())
        for index, player in enumerate((model.generator, model.discriminator)):
            gradients = torch.autograd.grad(
                losses[index], list(player.parameters()), retain_graph=True
            )
            torch.testing.assert_close(
                evaluation.gradient_norms[row, index], norm_of(gradients), rtol=1e-4, atol=1e-7
            )


def test_six_steps_follow_torch_adam_of_the_player_that_is_chosen():
    task = ImageGAN(**SMALL)
    state = task.reset(keys(1))
    model = Single(task, state, 0)
    players = [
        torch.optim.Adam(player.parameters(), lr=2e-3, betas=(0.5, 0.999))
        for player in (model.generator, model.discriminator)
    ]
    for choice in (0, 1, 1, 0, 0, 1):
        model.zero_grad()
        model.losses(*drawn(task, state, 0))[choice].backward()
        players[choice].step()
        control = Control(
            weights=torch.eye(2)[[choice]], step_size=torch.ones(1), choice=np.array([choice])
        )
        state, _ = task.update(state, control)
    unpacked = task.unpack(state.parameters)
    torch.testing.assert_close(
        unpacked["generator"]["double_1"][0], model.generator[-2].weight.data, rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(
        unpacked["generator"]["dense"][0].T, model.generator[0].weight.data, rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(
        unpacked["discriminator"]["halve_0"][0],
        model.discriminator[0].weight.data,
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("arguments", ARCHITECTURES[:2], ids=str)
def test_a_run_has_the_same_bits_alone_and_in_batches(arguments):
    task = ImageGAN(**SMALL, **arguments)
    choices = np.random.default_rng(0).integers(2, size=(25, 18))
    whole = play(AutoLossVectorEnv(task, 18, features="raw"), choices)
    for rows in ([0], [4, 17], list(range(3, 12))):
        envs = AutoLossVectorEnv(task, len(rows), features="raw")
        part = play(envs, choices[:, rows], seed=rows)
        for index, row in enumerate(rows):
            assert_same_run(part, index, whole, row)


def test_only_the_chosen_player_moves_and_the_latest_known_values_stay():
    task = ImageGAN(**SMALL)
    envs = AutoLossVectorEnv(task, 2)
    _, before = envs.reset(seed=0)
    start = tree.clone(envs._batch.runs.state)
    _, _, _, _, after = envs.step(np.array([0, 1]))
    now = envs._batch.runs.state
    for name, moved in (("generator", 0), ("discriminator", 1)):
        changed = (now.parameters[name] != start.parameters[name]).any(dim=1).tolist()
        assert changed == [row == moved for row in range(2)]
        assert now.optimizer[name]["steps"].tolist() == [int(row == moved) for row in range(2)]
    assert after["losses_refreshed"].tolist() == [[True, False], [False, True]]
    assert after["losses"][0, 1] == before["losses"][0, 1]


def test_rewards_have_the_arguments_that_suit_the_task(unlabelled):
    assert (
        AutoLossVectorEnv(ImageGAN(**SMALL, dataset=unlabelled), 1, reward="final").reward.formula
        is None
    )
    envs = AutoLossVectorEnv(ImageGAN(**SMALL), 2, reward="final")
    assert envs.reward.formula == "square"
    assert AutoLossVectorEnv(ImageGAN(), 1, reward="improvement").reward.segment == 500
    assert (
        AutoLossVectorEnv(
            ImageGAN(), 1, reward="improvement", reward_arguments={"segment": 100}
        ).reward.window
        == 5
    )
    envs.reset(seed=0)
    for step in range(20):
        _, rewards, _, _, infos = envs.step(np.full(2, step % 2))
    np.testing.assert_allclose(rewards, 10 * infos["final_info"]["best_validation"] ** 2, rtol=1e-6)


def test_the_final_reward_of_images_without_labels_is_the_larger_the_smaller_the_distance(
    unlabelled,
):
    envs = AutoLossVectorEnv(ImageGAN(**SMALL, dataset=unlabelled), 2, reward="final")
    envs.reset(seed=0)
    for step in range(20):
        _, rewards, _, _, infos = envs.step(np.full(2, step % 2))
    np.testing.assert_allclose(rewards, 10 / infos["final_info"]["best_validation"], rtol=1e-6)


def test_a_player_that_is_trained_alone_for_too_long_ends_the_episode():
    envs = AutoLossVectorEnv(ImageGAN(**SMALL, collapse_repeats=5), 2)
    envs.reset(seed=0)
    for step in range(10):
        _, _, ended, _, infos = envs.step(np.array([0, step % 2]))
    assert ended.tolist() == [True, False]
    assert infos["final_info"]["collapsed"].tolist() == [True, False]


def test_samples_are_images_that_repeat_and_change_with_the_generator():
    envs = gymnasium.make_vec(ID, num_envs=2, **SMALL)
    envs.reset(seed=0)
    first = envs.samples(5)
    assert (first.shape, first.dtype) == ((2, 5, 8, 8, 1), np.float32)
    assert 0 <= first.min() <= first.max() <= 1
    np.testing.assert_array_equal(first, envs.samples(5))
    np.testing.assert_array_equal(first[:, :3], envs.samples(3))
    envs.step(np.array([0, 1]))
    assert [(new != old).any() for new, old in zip(envs.samples(5), first, strict=True)] == [
        True,
        False,
    ]


def test_scores_are_those_of_as_many_images_and_images_without_labels_have_a_distance(unlabelled):
    labelled, other = ImageGAN(**SMALL), ImageGAN(**SMALL, dataset=unlabelled)
    assert [metric.name for metric in labelled.score_metrics] == [
        "inception_score",
        "frechet_distance",
        "diversity",
    ]
    assert [metric.name for metric in other.score_metrics] == ["frechet_distance", "diversity"]
    for task in (labelled, other):
        state = task.reset(keys(2))
        scores, validation = task.score(state), task.validate(state)
        assert (scores.shape, validation.shape) == ((2, len(task.score_metrics)), (2, 2))
        assert torch.isfinite(torch.cat([scores, validation], dim=1)).all()


def test_real_digits_score_better_than_noise():
    task = ImageGAN(num_test=300)
    (count, real), noise = (
        task.real_data_scores("validation"),
        task.score(task.reset(keys(2, "validation"))),
    )
    assert count == 300
    assert real["inception_score"] > 7
    assert noise[:, 0].max() < 3
    assert real["frechet_distance"] < 0.2 * noise[:, 1].min()
    assert real["diversity"] == pytest.approx(1, abs=0.1)


def test_six_hundred_alternating_steps_make_digits():
    envs = gymnasium.make_vec(ID, num_envs=2, split="validation", max_steps=600)
    envs.reset(seed=0)
    noise = envs.scores()
    for step in range(600):
        _, _, _, _, infos = envs.step(np.full(2, step % 2))
    final = infos["final_info"]
    assert (final["best_score"] > 4).all()
    assert (noise[:, 0] < 3).all()
    assert (final["frechet_distance"] < 0.5 * noise[:, 1]).all()


def test_a_controller_sees_the_same_observation_whatever_is_trained(unlabelled):
    spaces = {
        gymnasium.make(
            ID, **{**SMALL, "num_held_out": 4, "num_test": 4}, **arguments
        ).observation_space.shape
        for arguments in (*ARCHITECTURES, {"loss": "hinge"}, {"dataset": unlabelled}, {"size": 16})
    }
    assert len(spaces) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"loss": "hing"}, ["loss 'hing'", "hinge"]),
        ({"kernel_size": 3}, ["kernel_size=3", "4 or 5"]),
        ({"generator_activation": "tanh"}, ["'tanh'", "relu"]),
        ({"filters": 0}, ["filters=0", "at least 1"]),
        ({"batch_size": 1}, ["batch_size=1", "at least 2"]),
        ({"weight_deviation": -1.0}, ["weight_deviation=-1.0", "at least 0"]),
        ({"size": 10}, ["size=10", "8, 12, …, 32, or 0"]),
        ({"size": 10**6}, ["size=1000000", "8, 12, …, 32, or 0"]),
    ],
    ids=str,
)
def test_bad_arguments_are_one_clear_line(arguments, words):
    with pytest.raises(ValueError) as error:
        ImageGAN(**arguments)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_images_that_are_no_squares_of_such_a_size_are_one_clear_line(tmp_path):
    for shape in ((30, 8, 12), (30, 64, 64), (30, 10, 10)):
        np.savez(tmp_path / f"{shape}.npz", images=np.zeros(shape, np.uint8))
        message = rf"images of {shape[1]} × {shape[2]} pixels; expected squares of 8, 12, …, 32; give size=… to resize them$"
        with pytest.raises(ValueError, match=message):
            ImageGAN(dataset=str(tmp_path / f"{shape}.npz"))


def test_real_images_are_compared_with_on_the_device_of_the_runs():
    """The device "meta" stands for any other than the CPU."""
    judge = ImageGAN(**SMALL).judge
    here, there = (vars(judge.reference("test", "test", 64, device)) for device in ("cpu", "meta"))
    assert {leaf.device.type for leaf in there.values()} == {"meta"}
    assert [leaf.shape for leaf in there.values()] == [leaf.shape for leaf in here.values()]


def test_weights_are_refused_because_each_player_has_one_loss():
    with pytest.raises(ValueError, match="every parameter block has one loss"):
        gymnasium.make(ID, control="weights")


def test_an_update_can_be_differentiated_through():
    """The discriminator's step changes what the generator then loses: the graph reaches the step
    size.
    """
    task = ImageGAN(**SMALL)
    state = task.reset(keys(2))
    step_size = torch.ones(2, requires_grad=True)
    control = Control(weights=torch.tensor([[0.0, 1.0]] * 2), step_size=step_size)
    after, _ = task.update(state, control, differentiable=True)
    batch = task.batch(after.data, random.fold_in(after.keys.run, after.steps))
    loss = task.losses()["generator_loss"](task.unpack(after.parameters), batch).sum()
    (gradient,) = torch.autograd.grad(loss, [step_size])
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).all()


def test_the_task_keeps_its_promises_with_and_without_batch_norm():
    for arguments in ARCHITECTURES:
        autoloss_gym.check_task(ImageGAN(**SMALL, **arguments))
