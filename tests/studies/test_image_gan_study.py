"""`studies/image_gan` and `benchmarks/gan_throughput.py`: numbers by hand, and studies that go on
after a kill.
"""

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.evaluation import curves
from autoloss_gym.core.task import Metric
from autoloss_gym.tasks.images.image_gan import ImageGAN
from benchmarks import gan_throughput
from benchmarks.gan_loops import BareGAN, discriminator_network, generator_network
from studies.image_gan import figure, report
from studies.image_gan import study as image_gan
from studies.image_gan.entrants import architectures
from tests.support.toy_tasks import keys_of

TINY = ImageGAN(
    filters=4,
    latent_size=8,
    batch_size=4,
    num_held_out=16,
    num_test=16,
    max_steps=20,
    validate_every=10,
)
SCORE, DISTANCE = (
    Metric("inception_score", minimize=False, worst=1.0),
    Metric("frechet_distance", worst=1e6),
)


# Architectures


def test_architectures_are_drawn_once_for_all_and_differ():
    drawn = architectures(20, (8, 16, 32), (16, 32))
    assert drawn == architectures(20, (8, 16, 32), (16, 32))
    assert drawn[:5] == architectures(5, (8, 16, 32), (16, 32))
    assert len({tuple(each.values()) for each in drawn}) == 20
    assert {each["filters"] for each in drawn} == {8, 16, 32}
    names = (
        "filters",
        "latent_size",
        "batch_norm",
        "generator_activation",
        "discriminator_activation",
    )
    assert tuple(drawn[0].items()) == tuple(
        zip(names, (8, 32, True, "leaky_relu", "leaky_relu"), strict=True)
    )


def test_no_more_architectures_are_drawn_than_there_are():
    assert len(architectures(8, (8, 8), (16,))) == 8
    with pytest.raises(ValueError, match="--architectures 9: expected at most 8"):
        architectures(9, (8, 8), (16,))


# Tables


@pytest.mark.parametrize(
    ("level", "minimize", "expected"),
    [(2.0, False, 200), (2.5, False, 300), (3.5, False, None), (1.0, True, 100), (0.5, True, None)],
)
def test_the_level_is_reached_at_the_first_point_that_is_as_good(level, minimize, expected):
    curve = np.array([1.0, 2.0, 3.0, 1.5])
    assert report.steps_to_reach(np.array([100, 200, 300, 400]), curve, level, minimize) == expected


def study():
    """Two points and two runs: 1:1 ends at 4, and 1:3 is at 3.96 after the first point."""
    even, odd, never = [[2.0, 3.0], [4.0, 4.0]], [[3.92, 4.0], [5.0, 6.0]], [[1.0, 1.0], [1.0, 3.0]]
    runs = {"1:1": [even], "1:3": [odd], "ppo": [never, even]}
    curves = {
        label: np.stack([np.array(values), 10 * np.array(values)], axis=-1)
        for label, values in runs.items()
    }
    real = {"inception_score": 9.5, "frechet_distance": 0.25}
    return report.Study((SCORE, DISTANCE), np.array([50, 100]), curves, "1:3", real)


def test_the_table_of_ratios_has_the_numbers_by_hand():
    made = study()
    assert made.level == pytest.approx(3.92)
    lines = report.ratios_table(made).splitlines()
    assert lines[2] == "| 1:1 | 2 | 4.000 | — | -1.500 [-2.000, -1.000] | 40.000 | 100 | 1.00 |"
    assert (
        lines[3]
        == "| 1:3 | 2 | 5.500 [5.000, 6.000] | +1.500 [+1.000, +2.000] | — | 55.000 [50.000, 60.000] | 50 | 2.00 |"
    )
    cells = lines[4].split(" | ")
    assert cells[:2] == ["| ppo", "2×2"]
    assert [cell.split()[0] for cell in cells[2:6]] == ["3.000", "-1.000", "-2.500", "30.000"]
    assert cells[6:] == ["not reached", "— |"]
    assert lines[6] == "Real data: inception score 9.500, frechet distance 0.250."


def test_the_best_ratio_is_named_once_where_it_is_one_to_one():
    header, _, row, *_ = report.ratios_table(replace(study(), best_ratio="1:1")).splitlines()
    assert header.count("difference to 1:1") == 1
    assert header.count("|") == row.count("|")


def test_the_level_of_a_metric_that_is_minimised_lies_above_the_end():
    assert replace(study(), metrics=(DISTANCE, SCORE)).level == pytest.approx(4.08)


def test_the_table_of_transfer_has_the_numbers_by_hand():
    figures = {
        "1:1": np.array([[[1.0, 2.0], [3.0, 3.0]]]),
        "ppo": np.array([[[2.0, 2.0], [3.0, 2.0]]]),
    }
    lines = report.transfer_table(["a", "b"], figures, "ppo", False, "inception_score").splitlines()
    assert lines[2:5] == [
        "| a | 1.500 | 2.000 |",
        "| b | 3.000 | 2.500 |",
        "| mean | 2.250 | 2.250 |",
    ]
    assert (
        lines[-1]
        == "ppo is better than 1:1 on 1 of 2; mean difference over architectures +0.000 [-0.500, +0.500]."
    )


def test_with_one_architecture_the_interval_is_over_runs():
    figures = {"1:1": np.array([[[1.0, 2.0]]]), "ppo": np.array([[[2.0, 5.0]]])}
    line = report.transfer_table(["a"], figures, "ppo", False, "inception_score").splitlines()[-1]
    assert (
        line
        == "ppo is better than 1:1 on 1 of 1; mean difference over runs +2.000 [+1.000, +3.000]."
    )
    worse = report.transfer_table(["a"], figures, "ppo", True, "frechet_distance").splitlines()[-1]
    assert worse.startswith("ppo is better than 1:1 on 0 of 1")


def test_the_picture_is_written_whole(tmp_path):
    figure.draw(study(), ["1:1", "1:3", "balance"], "title", tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


# The commands

DIGITS = ["--env-kwargs", "preset=null", "filters=4", "batch_size=4", "num_held_out=16", "num_test=16", "max_steps=20",
          "validate_every=10"]  # fmt: skip


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["image_gan.py", *map(str, arguments)])
    image_gan.run()


def test_a_study_of_ratios_writes_table_curves_and_picture_and_is_not_played_twice(
    tmp_path, monkeypatch, capsys
):
    study = [
        "ratios",
        *DIGITS,
        "--policies",
        "1:3",
        "--seeds",
        2,
        "--validation-seeds",
        1,
        "--every",
        10,
        "-o",
        tmp_path,
    ]
    command(monkeypatch, *study)
    printed = capsys.readouterr().out
    assert {"ratios.md", "ratios.json", "ratios.png", "best_ratio.json"} <= {
        path.name for path in tmp_path.iterdir()
    }
    content = json.loads((tmp_path / "ratios.json").read_text())
    assert content["steps"] == [10, 20]
    assert np.array(content["curves"]["1:3"]).shape == (1, 2, 2, 3)
    assert image_gan.chosen_ratio(tmp_path) == content["best_ratio"]
    monkeypatch.setattr(curves, "play", None)
    command(monkeypatch, *study)
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ratios", *DIGITS, "--every", "15"], "--every 15: expected a divisor of max_steps=20"),
        (["ratios", *DIGITS, "--policies", "random"], "policy 'random' is chosen among others"),
        (
            ["ratios", *DIGITS, "--controllers", "nowhere*"],
            "--controllers 'nowhere\\*': there is no such folder",
        ),
        (
            ["transfer", *DIGITS, "--controllers", "x"],
            "give --ratio, or run the command ratios first",
        ),
    ],
)
def test_a_bad_argument_is_one_line(arguments, message, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=message):
        command(monkeypatch, *arguments, "-o", tmp_path)


# The loop without this package


def copied(network, block, shape):
    """Write one run's block of the task into a network, whose layers are in the same order, but its
    channels first.
    """
    channels_first = torch.arange(math.prod(shape)).view(shape).permute(2, 0, 1).flatten()
    names = [name for name in block if not name.endswith(("_bias", "_scale", "_shift"))]
    layers = [
        layer
        for layer in network
        if isinstance(layer, torch.nn.Linear | torch.nn.modules.conv._ConvNd)
    ]
    for name, layer in zip(names, layers, strict=True):
        weight, bias = block[name][0], block[f"{name}_bias"].normal_()[0]
        if name == "dense":  # into the base shape, or out of it
            weight = weight.T[channels_first] if len(bias) > 1 else weight.T[:, channels_first]
            bias = bias[channels_first] if len(bias) > 1 else bias
        layer.weight.data.copy_(weight)
        layer.bias.data.copy_(bias)


@pytest.mark.parametrize("kernel_size", [4, 5])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_networks_of_the_loop_are_those_of_the_task(batch_norm, kernel_size):
    task = replace(TINY, batch_norm=batch_norm, kernel_size=kernel_size)
    parameters, networks = (
        task.initial_parameters(keys_of(1)),
        (generator_network(task.architecture), discriminator_network(task.architecture)),
    )
    for network, block in zip(networks, parameters.values(), strict=True):
        copied(network, block, task.architecture.base_shape)
        assert sum(each.numel() for each in network.parameters()) == sum(
            leaf.numel() for leaf in block.values()
        )
    latents = torch.randn(6, 8)
    images = task.architecture.generate(parameters["generator"], latents[None])
    torch.testing.assert_close(networks[0](latents).permute(0, 2, 3, 1), images[0])
    odds = task.architecture.discriminate(parameters["discriminator"], images)
    torch.testing.assert_close(networks[1](images[0].permute(0, 3, 1, 2))[:, 0], odds[0])


def test_a_step_of_the_loop_moves_one_player_and_has_the_norm_of_its_gradient():
    model = BareGAN(TINY, "cpu")
    for player in (0, 1):
        before = [[each.clone() for each in network.parameters()] for network in model._networks]
        norm = model.step(player)
        moved = [any((a != b).any() for a, b in zip(network.parameters(), old, strict=True))
                 for network, old in zip(model._networks, before, strict=True)]  # fmt: skip
        assert moved == [player == 0, player == 1]
        squares = [(each.grad**2).sum() for each in model._networks[player].parameters()]
        assert norm == pytest.approx(float(torch.stack(squares).sum().sqrt()), rel=1e-5)


def test_images_that_are_all_the_same_have_inception_score_1_and_odds_of_0_are_half_of_them_wrong():
    model = BareGAN(TINY, "cpu")
    for network in model._networks:
        for parameter in network.parameters():
            parameter.data.zero_()
    score, error = model.validate()
    assert score == pytest.approx(1.0, abs=1e-5)
    assert error == 0.5  # all real images are missed, no generated one fools


def test_every_side_makes_the_steps_of_each_of_its_runs():
    sides = gan_throughput.sides(TINY, [3], 10, "cpu")
    assert [play() for play in sides.values()] == [10, 10, 30]


def test_the_overhead_is_the_time_of_a_step_beyond_that_of_the_loop():
    rates = {
        gan_throughput.LOOP: np.array([100.0, 100.0, 100.0]),
        gan_throughput.SINGLE: np.array([50.0, 80.0, 100.0]),
    }
    assert "+25.0% [+12.5%, +62.5%]" in gan_throughput.overhead(rates)


def test_the_timed_task_does_not_end_and_has_the_arguments_that_are_given():
    task = gan_throughput.make_task("digits", {"filters": 4})
    assert task.max_steps > 10**8
    assert task.max_steps % task.validate_every == 0
    assert task.filters == 4
