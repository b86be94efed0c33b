"""The autoencoder against single models written with torch.nn, and its data."""

import os
from itertools import pairwise

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

import autoloss_gym
from autoloss_gym import random
from autoloss_gym.core.task import Keys
from autoloss_gym.data.image_source import ImageSource
from autoloss_gym.data.images import load_images
from autoloss_gym.data.partition import five_way_partition
from autoloss_gym.tasks.images.autoencoder_layers import decode, encode
from autoloss_gym.tasks.images.sparse_autoencoder import SparseAutoencoder

ID = "AutoLoss/SparseAutoencoder-v1"
SMALL = {"hidden_sizes": (20,), "code_size": 12, "max_steps": 40, "num_held_out": 50}
LAMBDA = 0.02


def keys(num_envs, split="train"):
    problem = random.fold_in(torch.arange(num_envs), "test")
    return Keys(problem=problem, run=random.fold_in(problem, "run"), split=split)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """Colour images of 5 × 3 without labels."""
    path = tmp_path_factory.mktemp("images") / "x.npz"
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (60, 5, 3, 3), dtype=np.uint8))
    return str(path)


class Single(nn.Module):
    """The run `row` as a torch.nn model."""

    def __init__(self, task, state, row):
        super().__init__()
        parameters = task.unpack(state.parameters)
        sizes = task.layer_sizes
        self.encoder = self._layers(parameters["encoder"], sizes, row, nn.ReLU())
        self.decoder = self._layers(parameters["decoder"], sizes[::-1], row, nn.Sigmoid())

    def _layers(self, values, sizes, row, last):
        layers = []
        for index, (inputs, outputs) in enumerate(pairwise(sizes)):
            layer = nn.Linear(inputs, outputs)
            layer.weight.data.copy_(values[f"weight_{index}"][row].T)
            layer.bias.data.copy_(values[f"bias_{index}"][row])
            layers += [layer, nn.ReLU()]
        return nn.Sequential(*layers[:-1], last)

    def losses(self, images):
        code = self.encoder(images)
        return nn.functional.mse_loss(self.decoder(code), images), LAMBDA * code.abs().sum(1).mean()


def by_hand(classifier, images):
    """Features and logits of the classifier."""
    values = [images]
    for weight, bias in zip(classifier.weights, classifier.biases, strict=True):
        values.append(torch.relu(values[-1]) @ weight + bias)  # images are not negative
    return torch.relu(values[-2]), values[-1]


def norm_of(gradients):
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    return flat.norm() / flat.numel() ** 0.5


@pytest.mark.parametrize(
    "arguments", [{}, {"hidden_sizes": ()}, {"hidden_sizes": (20, 9), "code_size": 70}], ids=str
)
def test_losses_norms_and_metrics_are_those_of_single_models(arguments):
    task = SparseAutoencoder(**(SMALL | {"l1_coefficient": LAMBDA} | arguments))
    state = task.reset(keys(3))
    evaluation, validation = task.measure(state), task.validate(state)
    batch = task.batch(state.data, random.fold_in(state.keys.run, state.steps))
    digits = load_images("digits")
    judge = task.classifier()
    score = task.score(state)
    for row in range(3):
        model = Single(task, state, row)
        mse, penalty = model.losses(batch[row])
        torch.testing.assert_close(evaluation.losses[row], torch.stack([mse, penalty]).detach())
        norms = [
            norm_of(torch.autograd.grad(mse, list(model.parameters()), retain_graph=True)),
            norm_of(torch.autograd.grad(penalty, list(model.encoder.parameters()))),
        ]
        torch.testing.assert_close(
            evaluation.gradient_norms[row], torch.stack(norms), rtol=1e-4, atol=1e-7
        )
        for part, figures in (("validation", validation), ("test", score)):
            rows = state.data[part][row].numpy()
            images, labels = (
                torch.from_numpy(digits.images[rows]).flatten(1),
                torch.from_numpy(digits.labels[rows]),
            )
            code = model.encoder(images).detach()
            reconstructions = model.decoder(code).detach()
            pcc, active = (
                (by_hand(judge, reconstructions)[1].argmax(1) == labels).float().mean(),
                (code > 0).float().mean(),
            )
            error = nn.functional.mse_loss(reconstructions, images)
            expected = torch.stack(
                [1 - pcc + 0.5 * active, error, code.abs().sum(1).mean(), active, pcc]
            )
            torch.testing.assert_close(figures[row], expected)


def test_five_steps_follow_torch_adam_with_one_optimizer_for_each_block():
    """The decoder's Adam takes no step where the penalty is chosen."""
    task = SparseAutoencoder(**SMALL, l1_coefficient=LAMBDA)
    state = task.reset(keys(1))
    model = Single(task, state, 0)
    encoder, decoder = (
        torch.optim.Adam(part.parameters(), lr=3e-3) for part in (model.encoder, model.decoder)
    )
    for choice in (0, 1, 0, 1, 0):
        images = task.batch(state.data, random.fold_in(state.keys.run, state.steps))[0]
        model.zero_grad()
        model.losses(images)[choice].backward()
        encoder.step()
        if not choice:
            decoder.step()
        control = autoloss_gym.Control(weights=torch.eye(2)[[choice]], step_size=torch.ones(1))
        state, _ = task.update(state, control)
    assert state.optimizer["encoder"]["steps"].item() == 5
    assert state.optimizer["decoder"]["steps"].item() == 3
    for mine, theirs in zip(Single(task, state, 0).parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "arguments", [{}, {"control": "weights", "code_size": 5, "batch_size": 7}], ids=str
)
def test_a_run_gets_the_same_bits_alone_and_in_batches_of_7_and_64(arguments):
    def action(number, step):
        draws = np.random.default_rng([number, step]).uniform(-1, 1, 2)
        return draws.astype(np.float32) if "control" in arguments else int(draws[0] > 0)

    def play(first, num_envs):
        envs = gymnasium.make_vec(ID, num_envs=num_envs, **(SMALL | arguments))
        records = [envs.reset(seed=first)[0]]
        for step in range(90):  # two episodes and a part of a third
            outputs = envs.step(np.array([action(first + i, step) for i in range(num_envs)]))
            records.append(np.concatenate([outputs[0], outputs[1][:, None]], axis=1))
        return records

    for alone, seven, many in zip(play(5, 1), play(3, 7), play(0, 64), strict=True):
        np.testing.assert_array_equal(alone[0], many[5])
        np.testing.assert_array_equal(seven, many[3:10])


def test_mini_batches_come_from_the_runs_own_images_and_change_with_the_step():
    task = SparseAutoencoder(num_samples=10, batch_size=200)
    state = task.reset(keys(4))
    pixels = ImageSource("digits").pixels_on("cpu")
    batches = [task.batch(state.data, random.fold_in(state.keys.run, step)) for step in range(2)]
    assert not torch.equal(*batches)
    for row in range(4):
        own = {tuple(image.tolist()) for image in pixels[state.data["training"][row]]}
        assert {tuple(image.tolist()) for image in batches[0][row]} == own  # 200 draws of 10 images
    assert len({tuple(rows.sort().values.tolist()) for rows in state.data["training"]}) == 4
    assert all(
        leaf.dtype == torch.int64 for leaf in state.data.values()
    )  # numbers of images, not images


def test_parts_are_those_of_the_partition_and_test_images_serve_the_test_split_alone():
    parts = five_way_partition(1797)
    for split, training, validation, test in (
        ("train", "controller_train", "controller_validation", "validation"),
        ("validation", "train", "validation", "controller_validation"),
        ("test", "train", "validation", "test"),
    ):
        data = SparseAutoencoder().make_data(keys(2, split))
        assert set(data["training"].flatten().tolist()) <= set(parts[training])
        assert data["training"].shape == (2, len(parts[training]) * 4 // 5)
        np.testing.assert_array_equal(data["validation"][1], parts[validation][:256])
        np.testing.assert_array_equal(data["test"][1], parts[test])


def test_neither_loss_alone_is_best():
    envs = gymnasium.make_vec(ID, num_envs=4, control="weights", split="validation")
    costs = {}
    for name, weights in {
        "reconstruction": (1.0, 0.0),
        "both": (1.0, 1.0),
        "sparsity": (0.0, 1.0),
    }.items():
        envs.reset(seed=0)
        control = autoloss_gym.Control(weights=torch.tensor([weights] * 4), step_size=torch.ones(4))
        for _ in range(envs.task.max_steps):
            *_, info = envs.step_control(control)
        costs[name] = info["final_info"]["best_score"]
    assert (costs["both"] < 0.75 * costs["reconstruction"]).all()
    assert (costs["both"] < 0.5 * costs["sparsity"]).all()


def test_images_without_labels_are_judged_by_the_variance_that_is_left(unlabelled):
    task = SparseAutoencoder(dataset=unlabelled, code_size=8, num_held_out=5)
    autoloss_gym.check_task(task)
    assert [metric.name for metric in task.score_metrics] == [
        "cost",
        "reconstruction_error",
        "sparsity",
        "active",
    ]
    images = load_images(unlabelled).images.reshape(60, -1) / 255
    variance = images[five_way_partition(60)["controller_train"]].var(axis=0).mean()
    cost, error, _, active = task.validate(task.reset(keys(3))).T
    torch.testing.assert_close(cost, error / float(variance) + 0.5 * active)
    with pytest.raises(ValueError, match="needs labels"):
        task.classifier()


def test_reconstructions_lie_in_the_unit_interval_and_dead_codes_cost_nothing_but_recognition():
    task = SparseAutoencoder(**SMALL)
    state = task.reset(keys(2))
    state.parameters["encoder"].fill_(-1.0)  # no unit is ever active
    state.parameters["decoder"].mul_(1e4)
    parameters = task.unpack(state.parameters)
    code = encode(parameters, task.batch(state.data, state.keys.run))
    reconstructions = decode(parameters, code)
    assert not code.any()
    assert reconstructions.min() >= 0
    assert reconstructions.max() <= 1
    cost, _, sparsity, active, pcc = task.score(state).T
    assert not sparsity.any()
    assert not active.any()
    torch.testing.assert_close(cost, 1 - pcc)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"dataset": "digit"}, "did you mean 'digits'"),
        ({"hidden_sizes": [8, 0]}, "expected a list, each element an integer of at least 1"),
        ({"code_size": 0}, "code_size=0: expected an integer of at least 1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"l1_coefficient": -1.0}, "l1_coefficient=-1.0.*at least 0"),
        ({"active_price": float("inf")}, "active_price=inf"),
        ({"num_samples": 450}, "num_samples=450: the training part has 449 images"),
        ({"size": -1}, "size=-1: expected an integer of at least 0"),
    ],
)
def test_bad_arguments_are_one_line(arguments, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        gymnasium.make(ID, **arguments)
    assert "\n" not in str(caught.value)


def test_the_docstring_says_how_many_features_there_are(unlabelled):
    words = " ".join(SparseAutoencoder.__doc__.split())
    assert "27 numbers, 28 with `patience`; four less" in words
    sizes = [
        gymnasium.make(ID, **each).observation_space.shape
        for each in ({}, {"patience": 3}, {"dataset": unlabelled})
    ]
    assert sizes == [(27,), (28,), (23,)]


@pytest.mark.skipif(
    not os.environ.get("AUTOLOSS_GYM_DATA"), reason="AUTOLOSS_GYM_DATA names no data folder"
)
def test_mnist_trains_through_its_preset():
    env = gymnasium.make(ID, preset="mnist", max_steps=50, num_samples=1000)
    env.reset(seed=0)
    for _ in range(50):
        *_, info = env.step(0)
    assert env.unwrapped.task.layer_sizes == (784, 128, 64)
    assert (
        info["reconstruction_error"] < 0.067
    )  # what the mean image alone leaves; the first parameters leave 0.24
    assert env.unwrapped.task.classifier().accuracy > 0.96


# Families


@pytest.mark.parametrize(("bias", "active"), [(-1.0, 0.0), (1.0, 1.0)])
def test_the_score_of_a_family_is_the_logarithm_of_the_cost(bias, active, unlabelled):
    """By hand where there are no weights, so that every image becomes grey."""
    sizes = {"hidden_sizes": (), "code_size": 4, "num_samples": (5, 10)}
    task = SparseAutoencoder(dataset=unlabelled, **sizes)
    state = task.reset(keys(2))
    parameters = task.unpack(state.parameters)
    for name in ("encoder", "decoder"):
        for values in parameters[name].values():
            values.zero_()
    parameters["encoder"]["bias_0"].fill_(bias)
    images = torch.from_numpy(load_images(unlabelled).images).flatten(1).double() / 255
    errors = (images - 0.5).square().mean(dim=1)[state.data["test"]].mean(dim=1)
    costs = errors / task.source.pixel_variance + 0.5 * active
    score = task.score(state)
    assert [metric.name for metric in task.score_metrics[:2]] == ["log_cost", "cost"]
    torch.testing.assert_close(score[:, 1].double(), costs)
    torch.testing.assert_close(score[:, 0].double(), costs.clamp(max=1.5).log())
