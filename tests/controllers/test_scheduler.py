"""A scheduler in a loop of one's own decides as its controller does inside an environment."""

import copy

import numpy as np
import pytest
import torch

from agents.policies.balance import Balance
from autoloss_gym import AutoLossVectorEnv, Controller, Schedule, Scheduler
from autoloss_gym.controllers.loops.decider import Decider
from autoloss_gym.controllers.networks.perceptron import Perceptron
from autoloss_gym.controllers.networks.shift_network import ShiftNetwork
from autoloss_gym.controllers.policies.cosine_step import CosineStep
from autoloss_gym.controllers.policies.fine_tuned import FineTuned
from autoloss_gym.controllers.policies.open_loop import OpenLoop
from autoloss_gym.controllers.policies.static import FixedWeights, RandomPair, Ratio
from autoloss_gym.core.task import Control
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.tools import tree
from autoloss_gym.tools.arguments import build
from autoloss_gym.weightings import DynamicWeightAverage, GradNorm, SoftAdapt

TASK = QuadraticRegression(max_steps=60, validate_every=5)
ENVS = AutoLossVectorEnv(TASK)
LOSSES = ("fit", "penalty")
SEEN = ("sizes", "sparsity", "best")
RELATIVE = {"relative": True, "limit": 3.0, "step_size_range": 1.5}
BASE = {"weights": [[1.0, 0.3], [1.0, 3.0]], "step_size": [1.0, 0.5]}


def network(control, arguments, add=(), form="logits", squash=False, drop=()) -> Controller:
    """A controller with weights of its own, which decides now this, now that."""
    envs = AutoLossVectorEnv(TASK, control=control, control_arguments=arguments, add=add, drop=drop)
    torch.manual_seed(1)
    space = envs.single_action_space
    width = envs.single_observation_space.shape[0]
    outputs = int(space.n) if hasattr(space, "n") else int(np.sum(getattr(space, "nvec", 0)))
    outputs = outputs or space.shape[0]
    if form == "shift":
        moments = envs.control.moments(envs.description)
        net = ShiftNetwork(len(moments), width, outputs, 4)
        net.action_weights.data.normal_()
    else:
        net = Perceptron(width, outputs, (8,), activation="tanh", squash=squash)
    deviations = torch.full((outputs,), 0.5) if form == "mean" else None
    return Controller(
        label="test",
        seed=3,
        description=envs.description,
        control=control,
        control_arguments=arguments or {},
        add=add,
        drop=drop,
        network=net.requires_grad_(False),
        form=form,
        deviations=deviations,
    )


CONTROLLERS = {
    "pair": lambda: network("pair", None),
    "pair, greedy": lambda: network("pair", None, form="values"),
    "pair and step size": lambda: network("pair", {"step_size": True}, form="several"),
    "weights": lambda: network("weights", None, form="mean"),
    "weights, squashed": lambda: network("weights", None, form="squashed", squash=True),
    "weights and step size": lambda: network("weights", {"step_size": True}, form="mean"),
    "step size": lambda: network("step_size", None, form="mean"),
    "step size in levels": lambda: network("step_size", {"levels": 5}, form="logits"),
    "relative step size": lambda: network("step_size", RELATIVE, add=("step_size",), form="mean"),
    "shifts": lambda: network("schedule", {"base": BASE}, add=SEEN, form="shift"),
    "shifts that are observed": lambda: network("schedule", None, add=("shift",), form="mean"),
    "shifts of probabilities": lambda: network("schedule", {"draw": True}, form="shift"),
    "shifts on a grid": lambda: network("schedule", {"levels": 3, "every": 10}, form="values"),
    "without norms": lambda: network("pair", None, drop=("gradient_norms", "norm_ratio")),
}
OTHERS = {
    "schedule": lambda: (build(Schedule, BASE), {}),
    "schedule as probabilities": lambda: (build(Schedule, BASE), {"draw": True}),
    "softadapt": lambda: (SoftAdapt(beta=1.0), {}),
    "softadapt as probabilities": lambda: (SoftAdapt(beta=1.0), {"draw": True}),
    "average": lambda: (DynamicWeightAverage(), {}),
    "gradnorm": lambda: (GradNorm(), {}),
    "order": lambda: (Ratio("2:1", (2, 1)), {}),
    "random": lambda: (RandomPair("random:0.3", (0.3, 0.7)), {}),
    "fixed": lambda: (FixedWeights("fixed:2", (1.0, 2.0)), {}),
    "cosine": lambda: (CosineStep("cosine:2", 2.0, num_pairs=2, max_steps=60), {}),
    "fine tuned": lambda: (FineTuned("fine_tuned:1:2,0.5", (1 / 3, 2 / 3), 0.5, 60), {}),
    "open loop": lambda: (OpenLoop("open_loop", ((0.2, 0.8), (0.7, 0.3)), 60), {}),
    "a policy of one's own": lambda: (Balance("balance:0.5", 0.5), {}),
}


class Recorded:
    """The controls and the parameters of every update of a run of the task."""

    def __init__(self, monkeypatch) -> None:
        self.controls, self.parameters = [], []
        plain = QuadraticRegression.update

        def update(task, state, control, **options):
            self.controls.append((control.weights.clone(), control.step_size.clone()))
            found = plain(task, state, control, **options)
            self.parameters.append(tree.clone(found[0].parameters))
            return found

        monkeypatch.setattr(QuadraticRegression, "update", update)

    def take(self):
        taken = self.controls, self.parameters
        self.controls, self.parameters = [], []
        return taken


def play_inside(policy, env_arguments, seed):
    """A run in an environment; returns the key of its draws."""
    envs = AutoLossVectorEnv(TASK, autoreset_mode="Disabled", **env_arguments)
    observations, infos = envs.reset(seed=seed)
    key = int(envs._batch.runs.state.keys.run[0])
    policy.reset(np.array([key]))
    ended = False
    while not ended:
        action = policy.act(observations, infos)
        step = envs.step_control if isinstance(action, Control) else envs.step
        observations, _, ends, _, infos = step(action)
        ended = bool(ends[0])
    return key


def play_outside(scheduler, seed, steps=TASK.max_steps, state=None):
    """The same run with the task's own update, driven by the scheduler."""
    if state is None:
        envs = AutoLossVectorEnv(TASK)
        envs.reset(seed=seed)
        state = envs._batch.runs.state
        first = TASK.measure(state)
        scheduler.begin(
            first.losses[0].tolist(), first.gradient_norms[0].tolist(), TASK.validate(state)[0]
        )
    for _ in range(steps):
        control = scheduler.control()
        if control.choice is not None:
            assert scheduler.choose() == LOSSES[control.choice[0]]
        scheduler_sees(scheduler, state)
        state, told = TASK.update(state, control)
        pairs = [name for name, each in zip(LOSSES, told.measured[0], strict=True) if each]
        losses = {name: told.losses[0, LOSSES.index(name)] for name in pairs}
        norms = {name: told.gradient_norms[0, LOSSES.index(name)] for name in pairs}
        scheduler.record(losses=losses, gradient_norms=norms)
        if scheduler.steps % TASK.validate_every == 0:
            scheduler.validated(TASK.validate(state)[0])
    return state


def scheduler_sees(scheduler, state):
    """Its parameters are those of the run as they are now."""
    for mine, theirs in zip(MODEL, state.parameters.values(), strict=True):
        mine.data = theirs[0]


MODEL = [torch.nn.Parameter(torch.zeros(1)) for _ in range(1)]


def same(first, second):
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("kind", CONTROLLERS)
def test_a_controller_decides_outside_as_inside_bit_for_bit(kind, monkeypatch):
    recorded = Recorded(monkeypatch)
    controller = CONTROLLERS[kind]()
    key = play_inside(controller, controller.env_arguments, seed=5)
    controls, parameters = recorded.take()
    scheduler = Scheduler(CONTROLLERS[kind](), LOSSES, TASK.max_steps, seed=key, parameters=MODEL)
    play_outside(scheduler, seed=5)
    outside, moved = recorded.take()
    assert len(controls) == TASK.max_steps
    same(outside, controls)
    same(moved[-1].values(), parameters[-1].values())


@pytest.mark.parametrize("kind", OTHERS)
def test_rules_schedules_and_orders_decide_outside_as_inside(kind, monkeypatch):
    recorded = Recorded(monkeypatch)
    given, options = OTHERS[kind]()
    scheduler = Scheduler(given, LOSSES, TASK.max_steps, seed=77, **options)
    policy = copy.deepcopy(scheduler._decider._policy)
    envs = AutoLossVectorEnv(TASK)
    observations, infos = envs.reset(seed=5)
    policy.reset(np.array([77]))
    for _ in range(TASK.max_steps):
        observations, *_, infos = envs.step_control(policy.act(observations, infos))
    controls, _ = recorded.take()
    play_outside(scheduler, seed=5)
    same(recorded.take()[0], controls)


@pytest.mark.parametrize("kind", [*CONTROLLERS, *OTHERS])
def test_a_scheduler_goes_on_from_its_state(kind, monkeypatch):
    def made():
        given, options = OTHERS[kind]() if kind in OTHERS else (CONTROLLERS[kind](), {})
        return Scheduler(given, LOSSES, TASK.max_steps, seed=7, parameters=MODEL, **options)

    recorded = Recorded(monkeypatch)
    play_outside(made(), seed=5)
    whole, _ = recorded.take()
    for stop in (7, 33):
        first = made()
        state = play_outside(first, seed=5, steps=stop)
        first.control()  # a decision that is pending is kept, too
        kept = copy.deepcopy(first.state_dict())
        second = made()
        second.load_state_dict(kept)
        play_outside(second, seed=5, steps=TASK.max_steps - stop, state=state)
        same(recorded.take()[0], whole)


def test_a_decision_holds_until_the_next_record():
    scheduler = Scheduler(RandomPair("random", (0.5, 0.5)), LOSSES, 1000)
    names = []
    for _ in range(40):
        name = scheduler.choose()
        assert {scheduler.choose() for _ in range(5)} == {name}
        assert scheduler.weights() == {each: float(each == name) for each in LOSSES}
        scheduler.record(loss=1.0)
        names.append(name)
    assert {*names} == {*LOSSES}


def test_until_every_signal_is_known_the_losses_are_taken_in_turn():
    scheduler = Scheduler(network("pair", None, drop=("gradient_norms", "norm_ratio")), LOSSES, 60)
    first = []
    for _ in range(4):
        first.append(scheduler.choose())
        scheduler.record(loss=1.0)
    assert first == ["fit", "penalty", "fit", "penalty"]
    assert not scheduler._signals.are_complete
    scheduler.validated(0.5)
    assert scheduler._signals.are_complete


@pytest.mark.parametrize("kind", ["pair", "weights", "shifts of probabilities"])
def test_a_decision_within_autocast_is_the_one_without(kind):
    def decided(enabled):
        scheduler = Scheduler(CONTROLLERS[kind](), LOSSES, 60, seed=2)
        scheduler.begin([1.0, 2.0], [0.5, 0.25], 1.0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            return scheduler.weights(), scheduler.step_size()

    assert decided(True) == decided(False)


def test_after_the_last_decision_nothing_is_read():
    scheduler = Scheduler(network("schedule", None, form="shift"), LOSSES, 20)
    scheduler.begin([1.0, 2.0], [1.0, 1.0], 0.5)
    for _ in range(12):
        scheduler.weights()
        scheduler.record(losses=[1.0, 2.0], gradient_norms=[1.0, 1.0])
    scheduler.weights()
    scheduler.record()


def test_a_decision_that_comes_before_its_signals_is_made_later():
    scheduler = Scheduler(network("schedule", None, form="shift"), LOSSES, 60)
    played = []
    for step in range(12):
        played.append(scheduler.weights())
        scheduler.record(losses=[1.0, 2.0], gradient_norms=[1.0, 1.0])
        if step == 9:
            scheduler.validated(0.5)
    assert played[:10] == [{"fit": 1.0, "penalty": 1.0}] * 10
    assert played[10] != played[9]


def test_silence_about_validation_is_told_once():
    scheduler = Scheduler(network("pair", None, drop=("gradient_norms", "norm_ratio")), LOSSES, 60)

    def plays():
        for _ in range(30):
            scheduler.choose()
            scheduler.record(loss=1.0)

    with pytest.warns(RuntimeWarning, match="has not been told a validation") as told:
        plays()
    assert len(told) == 1


def test_the_norm_of_a_loss_is_that_in_the_gradients_of_its_parameters():
    model = torch.nn.Linear(2, 2, bias=False)
    model.weight.grad = torch.full((2, 2), 3.0)
    scheduler = Scheduler(network("pair", None), LOSSES, 60)
    scheduler.begin([1.0, 1.0], [1.0, 1.0], 1.0)
    name = scheduler.choose()
    scheduler.record(loss=2.0, parameters=model.parameters())
    told = scheduler._signals.infos()
    assert told["gradient_norms"][0, LOSSES.index(name)] == 3.0
    assert told["losses"][0, LOSSES.index(name)] == 2.0


def test_a_loss_that_is_not_finite_leaves_the_last_one_known():
    scheduler = Scheduler(SoftAdapt(), LOSSES, 60)
    scheduler.begin([1.0, 4.0])
    scheduler.record(losses={"fit": float("nan"), "penalty": 3.0})
    assert scheduler._signals.infos()["losses"].tolist() == [[1.0, 3.0]]


def test_longer_runs_are_scheduled_in_proportion():
    controller = network("schedule", None, form="shift")
    scheduler = Scheduler(controller, ("a", "b"), max_steps=6000)
    assert scheduler.description.validate_every == 500
    assert scheduler._decider._moments == (500, 1000, 3000)


BAD = {
    "losses=['a']: expected 2": lambda: Scheduler(network("pair", None), ("a",), 60),
    "observes sizes of the parameters": lambda: Scheduler(
        network("pair", None, add=("sizes",)), LOSSES, 60
    ),
    "expected a Controller, a Schedule": lambda: Decider("softadapt", LOSSES, 60, 1, False, 0),
    "draw=True: expected": lambda: Scheduler(network("pair", None), LOSSES, 60, draw=True),
    "a schedule of 2 weights": lambda: Scheduler(build(Schedule, BASE), ("a", "b", "c"), 60),
    "call weights()": lambda: Scheduler(SoftAdapt(), LOSSES, 60).choose(),
    "expected loss=": lambda: Scheduler(SoftAdapt(), LOSSES, 60, draw=True).record(),
    "gradient_norms=None": lambda: Scheduler(GradNorm(), LOSSES, 60).record(losses=[1.0, 2.0]),
    "the gradient norm of 'fit'": lambda: Scheduler(network("pair", None), LOSSES, 60).record(1.0),
    "'other': expected fit, penalty": lambda: Scheduler(SoftAdapt(), LOSSES, 60).record(
        losses={"other": 1.0}
    ),
    "2 metrics: expected 1": lambda: Scheduler(SoftAdapt(), LOSSES, 60).validated(1.0, 2.0),
    "expected numbers": lambda: Scheduler(SoftAdapt(), LOSSES, 60).record(losses=[None, 2.0]),
    "decisions; validate more often": lambda: Scheduler(
        network("schedule", None, form="shift"), LOSSES, 60, validate_every=30
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_a_mistake_is_one_line(message):
    with pytest.raises(ValueError) as raised:
        BAD[message]()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
