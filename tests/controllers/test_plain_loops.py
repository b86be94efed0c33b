"""A newcomer's plain loop: parameters are found by name, and each mistake is one clear line."""

import warnings

import pytest
import torch
from torch import nn

from autoloss_gym import Controller, Schedule, Scheduler
from autoloss_gym.controllers.loops.decider import Decider
from autoloss_gym.controllers.loops.parameters import Blocks
from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.controllers.policies.static import Ratio
from autoloss_gym.core.task import Metric
from autoloss_gym.signals.description import RunDescription
from autoloss_gym.weightings import SoftAdapt

LOSSES = ("generator", "discriminator")
DESCRIPTION = RunDescription(
    pairs=LOSSES,
    validation_metrics=(Metric("distance"),),
    max_steps=40,
    validate_every=2,
    blocks=(("drawing",), ("judging",)),
)
DRAWS, JUDGES = nn.Linear(2, 2), nn.Linear(2, 1)


def controller(add=()):
    """One that chooses a loss in every step."""
    width = 11 + 2 * len(add)  # two blocks
    return Controller(
        label="test",
        seed=0,
        description=DESCRIPTION,
        control="pair",
        add=add,
        network=Perceptron(width, 2, (4,), activation="tanh").requires_grad_(False),
        form="logits",
    )


@pytest.mark.parametrize(
    "given",
    [
        {"drawing": DRAWS, "judging": JUDGES},
        {"judging": JUDGES, "drawing": DRAWS},
        {"discriminator": JUDGES, "generator": DRAWS},
        {"G": DRAWS, "D": JUDGES},
    ],
    ids=", ".join,
)
def test_parameters_are_found_by_the_names_of_blocks_or_losses_before_their_order(given):
    blocks = Blocks(given, DESCRIPTION)
    assert blocks.of_loss("generator") == list(DRAWS.parameters())
    assert blocks.of_loss("discriminator") == list(JUDGES.parameters())
    assert list(blocks.packed()) == ["drawing", "judging"]
    assert blocks.packed()["judging"].numel() == 3


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        (controller, {}),
        (lambda: controller(add=("sizes",)), {}),
        (lambda: Ratio("1:1", (1, 1)), {}),
        (lambda: Schedule.constant(2), {"draw": True}),
    ],
    ids=["controller", "controller that observes sizes", "order", "schedule"],
)
def test_one_loop_serves_controllers_orders_and_schedules(rule, more):
    parts = {"discriminator": JUDGES, "generator": DRAWS}
    scheduler = Scheduler(rule(), LOSSES, 40, parameters=parts, **more)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for step in range(40):
            part = parts[scheduler.choose()]
            part.zero_grad()
            loss = part(torch.ones(3, 2)).square().mean()
            loss.backward()
            scheduler.record(loss)  # as it is, with its graph
            if step % 2:
                scheduler.validated(loss)
    assert scheduler.steps == 40


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("expected the order in which", lambda: Scheduler(controller(), LOSSES[::-1], 40)),
        ("every name once", lambda: Scheduler(Ratio("1:1", (1, 1)), ("a", "a"), 40)),
        ("expected their names", lambda: Scheduler(controller(), "generator", 40)),
        (
            r"Controller.load\(path\)",
            lambda: Decider("runs/group/mine_1", LOSSES, 40, None, False, 0),
        ),
        ("1:1:1 of 3 losses", lambda: Scheduler(Ratio("1:1:1", (1, 1, 1)), LOSSES, 40).choose()),
        ('"drawing": …, "judging"', lambda: Scheduler(controller(("sizes",)), LOSSES, 40)),
        ("expected 2", lambda: Scheduler(controller(), LOSSES, 40, parameters=DRAWS)),
        (
            "with 3: expected a module",
            lambda: Scheduler(controller(), LOSSES, 40, parameters={"G": 3, "D": JUDGES}),
        ),
        (
            "call it after backward",
            lambda: Scheduler(controller(), LOSSES, 40).record(1.0, parameters=nn.Linear(1, 1)),
        ),
    ],
)
def test_what_does_not_fit_is_one_line(line, start):
    with pytest.raises(ValueError, match=line) as caught:
        start()
    assert "\n" not in str(caught.value)


def test_another_file_is_told_apart_from_a_controllers(tmp_path):
    path = tmp_path / "policy.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="such as the controller"):
        Controller.load(path)


def test_a_compiled_step_and_one_with_accumulation_take_the_same_decisions():
    """What is told are numbers: how a step is computed is no matter of the scheduler's."""

    def play(compiled, parts):
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        forward = torch.compile(model, backend="eager") if compiled else model
        scheduler = Scheduler(SoftAdapt(), ("fit", "small"), 20, draw=True, seed=3)
        batches = torch.randn(20, 8, 4)
        names = []
        for batch in batches:
            optimizer.zero_grad()
            told = 0.0
            for part in batch.chunk(parts):
                name = scheduler.choose()
                outputs = forward(part)
                target = part[:, :2] if name == "fit" else 0.0
                loss = (outputs - target).square().mean() / parts
                loss.backward()
                told += float(loss.detach())
            scheduler.record(loss=round(told, 4))
            optimizer.step()
            names.append(name)
        return names

    plain = play(compiled=False, parts=1)
    assert {*plain} == {"fit", "small"}
    assert play(compiled=True, parts=1) == plain
    assert play(compiled=False, parts=4) == plain
