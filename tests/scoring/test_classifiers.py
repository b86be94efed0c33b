"""The classifiers of images: against torch.nn by hand, what they are trained on, and the files that
keep them.
"""

import logging
import os
import warnings
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from autoloss_gym.data.image_source import ImageSource
from autoloss_gym.data.images import load_images
from autoloss_gym.data.partition import five_way_partition
from autoloss_gym.scoring import classifiers
from autoloss_gym.scoring.classifiers import CACHE_VARIABLE, load_classifier, storage, training
from autoloss_gym.scoring.classifiers.networks import KINDS
from autoloss_gym.tools.stored import write_arrays
from tests.support.paths import DATA

DIGITS = ImageSource("digits")
each_kind = pytest.mark.parametrize("kind", KINDS)


def stored(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of its own, and recipes that take no time."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    for kind, recipe in training.RECIPES.items():
        monkeypatch.setitem(training.RECIPES, kind, replace(recipe, steps=20))
    classifiers._trained.cache_clear()
    yield tmp_path / "cache"
    classifiers._trained.cache_clear()


def same_layers(first, second):
    return all(map(torch.equal, (*first.weights, *first.biases), (*second.weights, *second.biases)))


def untrained(kind, image_shape, num_classes=10):
    """A network with weights and biases drawn at random."""
    shapes = KINDS[kind].weight_shapes(training.RECIPES[kind].sizes, image_shape, num_classes)
    generator = torch.Generator().manual_seed(0)
    weights, biases = training._initial(shapes)
    biases = [torch.randn(each.shape, generator=generator) / 10 for each in biases]
    return KINDS[kind](tuple(each.detach() for each in weights), tuple(biases), image_shape)


def test_images(name, **arguments):
    images = load_images(name, **arguments)
    rows = five_way_partition(len(images.images), images.num_test)["test"]
    return torch.from_numpy(images.images[rows]).flatten(1), torch.from_numpy(images.labels[rows])


test_images.__test__ = False


# What they compute


@pytest.mark.parametrize(
    ("image_shape", "num_convolutions"),
    [((8, 8, 1), 2), ((28, 28, 1), 3), ((5, 3, 3), 2), ((1, 33, 3), 4)],
)
def test_a_convolutional_network_is_that_of_torch_nn(image_shape, num_convolutions):
    network = untrained("convolutional", image_shape, num_classes=4)
    layers = []
    for index, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        convolution = index < num_convolutions
        layer = (
            torch.nn.Conv2d(*weight.shape[1::-1], 3, padding=1)
            if convolution
            else torch.nn.Linear(*weight.shape)
        )
        layer.weight.data.copy_(weight if convolution else weight.T)
        layer.bias.data.copy_(bias)
        layers += [
            layer,
            torch.nn.ReLU(),
            *([torch.nn.MaxPool2d(2, ceil_mode=True)] if convolution else []),
        ]
        layers += [torch.nn.Flatten()] if index == num_convolutions - 1 else []
    expected = torch.nn.Sequential(*layers[:-1])
    images = torch.rand(3, 7, prod(image_shape))
    pictures = images.view(21, *image_shape).permute(0, 3, 1, 2) * 2 - 1
    with torch.no_grad():
        features, logits = expected[:-1](pictures), expected(pictures)
    assert network.features(images).shape == (3, 7, 64)
    torch.testing.assert_close(network.features(images), features.view(3, 7, 64))
    torch.testing.assert_close(network.logits(images), logits.view(3, 7, 4))
    torch.testing.assert_close(
        network.probabilities(images), torch.softmax(logits, dim=1).view(3, 7, 4)
    )


def test_convolutions_halve_images_to_at_most_four_pixels_and_are_at_least_two():
    """28 → 14 → 7 → 4, 8 → 4 → 2, and 64 → 32 → 16 → 8 → 4, whose last two convolutions have 64
    channels.
    """
    shapes = {
        size: KINDS["convolutional"].weight_shapes((16, 32, 64, 64), (size, size, 1), 10)
        for size in (28, 8, 64)
    }
    assert shapes[28] == [(16, 1, 3, 3), (32, 16, 3, 3), (64, 32, 3, 3), (4 * 4 * 64, 64), (64, 10)]
    assert shapes[8] == [(16, 1, 3, 3), (32, 16, 3, 3), (2 * 2 * 32, 64), (64, 10)]
    assert shapes[64] == [*shapes[28][:3], (64, 64, 3, 3), (4 * 4 * 64, 64), (64, 10)]


def test_a_perceptron_is_that_of_matrix_products():
    network, images = untrained("perceptron", (8, 8, 1)), torch.rand(2, 5, 64)
    values = images
    for weight, bias in list(zip(network.weights, network.biases, strict=True))[:-1]:
        values = torch.relu(values @ weight + bias)
    torch.testing.assert_close(network.features(images), values)
    torch.testing.assert_close(
        network.logits(images), values @ network.weights[-1] + network.biases[-1]
    )


def test_an_image_is_recognised_where_the_logit_of_its_class_is_the_largest():
    network = untrained("perceptron", (2, 2, 1), num_classes=3)
    network = replace(network, weights=tuple(each * 0 for each in network.weights))
    network = replace(network, biases=(*network.biases[:-1], torch.tensor([0.0, 2.0, 1.0])))
    assert network.recognises(torch.rand(1, 3, 4), torch.tensor([[0, 1, 2]])).tolist() == [
        [0, 1, 0]
    ]


@each_kind
@pytest.mark.parametrize("rows", [1, 7, 501])
@pytest.mark.parametrize("image_shape", [(7, 5, 1), (16, 16, 3)], ids=str)
def test_each_run_is_judged_by_the_same_bits_alone_and_among_others(kind, rows, image_shape):
    network, images = untrained(kind, image_shape), torch.rand(5, rows, prod(image_shape))
    together = network.probabilities(images)
    for run in range(5):
        assert torch.equal(network.probabilities(images[run : run + 1]), together[run : run + 1])
        assert torch.equal(
            network.probabilities(images[run : run + 1].clone()), together[run : run + 1]
        )


# What they are trained on, and how well


@pytest.mark.parametrize(("kind", "goal"), [("perceptron", 0.93), ("convolutional", 0.97)])
def test_the_share_of_test_digits_that_is_recognised_is_the_classifiers_accuracy(kind, goal):
    images, labels = test_images("digits")
    classifier = load_classifier(DIGITS, kind=kind)
    assert classifier.recognises(images[None], labels[None]).mean().item() == pytest.approx(
        classifier.accuracy, abs=1e-6
    )
    assert classifier.accuracy > goal
    assert classifier.features(images[None]).shape[2] == 64


@pytest.mark.skipif(
    not (DATA / "cifar10").is_dir(), reason="AUTOLOSS_GYM_DATA names no folder with CIFAR-10"
)
def test_a_convolutional_network_learns_real_colour_images(cache, monkeypatch):
    monkeypatch.setitem(
        training.RECIPES, "convolutional", replace(training.RECIPES["convolutional"], steps=150)
    )
    assert (
        load_classifier(ImageSource("cifar10", str(DATA), 16), kind="convolutional").accuracy > 0.4
    )  # guessing is right in 0.1


@each_kind
def test_a_classifier_learns_from_the_controllers_training_part_alone(kind, tmp_path, cache):
    """Other labels everywhere else change its accuracy and nothing in its weights."""
    digits = load_images("digits")
    others = np.ones(1797, bool)
    others[five_way_partition(1797)["controller_train"]] = False
    changed = np.where(others, (digits.labels + 1) % 10, digits.labels)
    for name, labels in (("a", digits.labels), ("b", changed)):
        np.savez(tmp_path / f"{name}.npz", images=digits.images, labels=labels)
    first, second = (
        load_classifier(ImageSource(str(tmp_path / f"{name}.npz")), kind=kind) for name in "ab"
    )
    assert same_layers(first, second)
    assert second.accuracy < first.accuracy


def test_the_last_means_and_variances_of_batch_normalisation_are_in_the_weights():
    weights, biases = training._initial([(4, 3, 3, 3), (6, 5), (5, 2)])
    means, variances = [torch.randn(4), torch.randn(5)], [torch.rand(4) + 0.5, torch.rand(5) + 0.5]
    biases = [torch.randn(each.shape) for each in biases]
    folded, shifts = training._folded(weights, biases, means, variances)
    images, values = torch.rand(2, 3, 6, 6), torch.rand(2, 6)
    for index, got, product in (
        (0, torch.conv2d(images, folded[0], shifts[0]), torch.conv2d(images, weights[0])),
        (1, values @ folded[1] + shifts[1], values @ weights[1]),
    ):
        expected = torch.nn.functional.batch_norm(
            product, means[index], variances[index], None, biases[index]
        )
        torch.testing.assert_close(got, expected)
    assert folded[2] is weights[2]
    assert shifts[2] is biases[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_moved_by_up_to_a_tenth_and_only_coloured_ones_are_mirrored(channels):
    image = torch.arange(20.0 * 30).view(20, 30, 1).expand(-1, -1, channels)
    edged = np.pad(image.numpy(), ((2, 2), (3, 3), (0, 0)), mode="edge")
    allowed = {
        edged[y : y + 20, x : x + 30].tobytes(): (y, x, 0) for y in range(5) for x in range(7)
    }
    mirrored = {
        edged[y : y + 20, x : x + 30][:, ::-1].tobytes(): (y, x, 1)
        for y in range(5)
        for x in range(7)
    }
    allowed |= mirrored if channels == 3 else {}
    moved = training.moved(image.expand(2000, -1, -1, -1), torch.tensor([5])).numpy()
    found = {allowed[each.tobytes()] for each in moved}
    assert len(found) == len(allowed)  # 2,000 draws leave none of 70 out


def test_an_untrained_layer_has_the_deviation_of_he_initialisation():
    weights, biases = training._initial([(64, 32, 3, 3), (1000, 64)])
    assert weights[0].std().item() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.02)
    assert weights[1].std().item() == pytest.approx((2 / 1000) ** 0.5, rel=0.02)
    assert [tuple(each.shape) for each in biases] == [(64,), (64,)]


# The files that keep them


def test_the_perceptron_of_the_digits_keeps_its_file():
    """The name says what images and recipe it is of; published results were judged by it."""
    assert training.digest(load_images("digits"), "perceptron") == "c75db57c75cfcc0486c12925"
    shapes = training.weight_shapes(load_images("digits"), "perceptron")
    assert shapes == list(pairwise((64, 256, 64, 10)))


def test_each_kind_and_each_size_has_a_file_of_its_own(cache):
    for size in (0, 16):
        for kind in KINDS:
            load_classifier(ImageSource("digits", size=size), kind=kind)
    assert len(list(cache.iterdir())) == 4


@each_kind
def test_a_classifier_is_trained_once_and_then_read_from_its_file(kind, cache, monkeypatch, caplog):
    with caplog.at_level(logging.INFO, "autoloss_gym"):
        first = load_classifier(DIGITS, kind=kind)
    assert caplog.messages == [f"training a {kind} classifier of digits, once for all"]
    classifiers._trained.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(training, "trained", lambda *arguments: pytest.fail("trained again"))
        again = load_classifier(DIGITS, kind=kind)
    assert same_layers(first, again)
    assert again.accuracy == first.accuracy
    classifiers._trained.cache_clear()
    stored(cache).unlink()
    torch.manual_seed(3)
    assert same_layers(
        first, load_classifier(DIGITS, kind=kind)
    )  # the same bits where it is trained anew


def _ones(kind: str, accuracy: float = 0.9) -> dict:
    """The content of a file of a classifier whose weights and biases are all 1."""
    shapes = training.weight_shapes(load_images("digits"), kind)
    outputs = [storage.num_outputs(shape) for shape in shapes]
    return {
        "accuracy": accuracy,
        "weights": [np.ones(shape, np.float32) for shape in shapes],
        "biases": [np.ones(count, np.float32) for count in outputs],
    }


def _cut(path, kind):
    path.write_bytes(path.read_bytes()[:1000])


def _empty(path, kind):
    path.write_bytes(b"")


def _pipe(path, kind):
    path.unlink()
    os.mkfifo(path)


def _endless(path, kind):
    path.unlink()
    path.symlink_to("/dev/zero")


def _one_bit(path, kind):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _zeros_that_claim_an_accuracy(path, kind):
    weights = load_file(path)
    zeros = {name: torch.zeros_like(value) for name, value in weights.items()}
    save_file(zeros, path, metadata={"accuracy": "0.99", "format": "2"})


def _of_another_shape(path, kind):
    content = _ones(kind)
    content["biases"][-1] = np.ones(9, np.float32)
    write_arrays(path, content)


def _without_a_layer(path, kind):
    content = _ones(kind)
    del content["weights"][1]
    write_arrays(path, content)


def _not_finite(path, kind):
    content = _ones(kind)
    content["biases"][-1][:] = np.nan
    write_arrays(path, content)


def _too_good(path, kind):
    write_arrays(path, _ones(kind, accuracy=1.5))


@each_kind
@pytest.mark.parametrize(
    "damage",
    [_cut, _empty, _pipe, _endless, _one_bit, _zeros_that_claim_an_accuracy, _of_another_shape,
     _without_a_layer, _not_finite, _too_good],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_made_anew(kind, damage, cache):
    first = load_classifier(DIGITS, kind=kind)
    path = stored(cache)
    whole = path.read_bytes()
    damage(path, kind)
    classifiers._trained.cache_clear()
    assert same_layers(first, load_classifier(DIGITS, kind=kind))
    assert path.read_bytes() == whole


@each_kind
def test_a_whole_file_is_taken_as_it_is(kind, cache):
    load_classifier(DIGITS, kind=kind)
    write_arrays(stored(cache), _ones(kind, accuracy=0.25))
    classifiers._trained.cache_clear()
    found = load_classifier(DIGITS, kind=kind)
    assert found.accuracy == 0.25
    assert all((each == 1).all() for each in (*found.weights, *found.biases))


def test_a_cache_that_cannot_be_written_is_said_and_stops_nothing(tmp_path, cache, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=rf"is not kept: .*file.*{CACHE_VARIABLE}"):
        classifier = load_classifier(DIGITS)
    with warnings.catch_warnings(action="error"):
        assert same_layers(classifier, load_classifier(DIGITS))


def test_a_kind_that_does_not_exist_and_images_without_labels_are_one_line(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"unknown kind 'convolution'; did you mean 'convolutional'\? Known: .*perceptron",
    ):
        load_classifier(DIGITS, kind="convolution")
    np.savez(tmp_path / "x.npz", images=np.zeros((30, 4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"x\.npz.*needs labels"):
        load_classifier(ImageSource(str(tmp_path / "x.npz")), kind="convolutional")
