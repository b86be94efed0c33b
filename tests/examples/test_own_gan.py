"""The example of an own GAN: a task that keeps its promises, and the same net in a plain loop."""

import importlib
import inspect

import gymnasium
import pytest
import torch

from autoloss_gym import Schedule, check_task
from autoloss_gym.controllers.policies.static import Ratio
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def own_gan():
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(ROOT / "examples")
    yield importlib.import_module("own_gan")
    patch.undo()


def test_it_keeps_the_promises_of_a_task(own_gan):
    check_task(own_gan.ring_gan(max_steps=4, validate_every=2, batch_size=8))


def test_what_turns_the_gan_into_an_environment_is_at_most_20_lines(own_gan):
    lines = inspect.getsource(own_gan.ring_gan).splitlines()
    assert len([line for line in lines if line]) + 1 <= 20  # and one that registers it


def test_each_loss_trains_its_own_network_and_leaves_the_other(own_gan):
    envs = gymnasium.make_vec("Example/RingGan-v0", num_envs=2, max_steps=4, validate_every=2)
    assert [pair.blocks for pair in envs.task.pairs] == [("generator",), ("discriminator",)]


def test_the_points_lie_around_eight_places_of_a_ring(own_gan):
    points = own_gan.ring(4000, 3)["real"]
    eighths = torch.atan2(points[:, 1], points[:, 0]) / (torch.pi / 4)
    assert (eighths - eighths.round()).abs().max() < 0.4
    counts = torch.bincount(eighths.round().long() % 8, minlength=8)
    assert counts.min() > 400
    assert (points.norm(dim=1) - 2).abs().max() < 0.6


def test_samples_that_are_the_held_out_points_are_at_no_distance(own_gan):
    model = own_gan.Gan()
    model.generator = torch.nn.Identity()
    points = own_gan.ring(50, 0)["real"]
    shuffled = points[torch.randperm(50)]
    assert own_gan.distance(model, {"noise": shuffled, "real": points}) < 1e-6
    moved = own_gan.distance(model, {"noise": shuffled + torch.tensor([1.0, 0.0]), "real": points})
    torch.testing.assert_close(moved, torch.tensor(2 / torch.pi), atol=0.05, rtol=0)


@pytest.mark.parametrize("rule", [Ratio("1:3", (1, 3)), Schedule.constant(2)], ids=["order", "all"])
def test_a_run_of_the_plain_loop_follows_its_rule_and_repeats(own_gan, rule):
    model, score, followed = own_gan.train(rule, seed=5, max_steps=40)
    assert score == own_gan.train(rule, seed=5, max_steps=40)[1]
    assert score != own_gan.train(rule, seed=6, max_steps=40)[1]
    with torch.no_grad():
        assert score == float(own_gan.distance(model, own_gan.DATA["test"]))
    shares = torch.tensor(followed).mean(dim=0).tolist()
    assert shares[1] == 1
    assert shares[0] == 0.75 if isinstance(rule, Ratio) else 0.2 < shares[0] < 0.8
