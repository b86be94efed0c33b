"""Rules that read more of the gradients than their norms, played in environments."""

import numpy as np
import pytest
import torch

from agents.evaluation.entrants import make_entrant
from agents.policies.grammar import parse_specification
from autoloss_gym import AutoLossVectorEnv, Control, Scheduler
from autoloss_gym.controllers.policies import gradient_weighting
from autoloss_gym.controllers.policies.gradient_weighting import GradientWeightingPolicy
from autoloss_gym.tasks.step_sizes.quadratic import QuadraticStepSize
from autoloss_gym.weightings import GradientAnnealing, GradNorm, NTKWeights
from tests.support.shared_trunk import SharedTrunk, by_hand
from tests.support.toy_tasks import SMALL, TwoBlocks, keys_of

UNSEEN = np.zeros((1, 0), np.float32)
RULES = {
    "annealing": lambda: GradientAnnealing(alpha=0.25),
    "ntk": NTKWeights,
    "gradnorm": GradNorm,
}


def build(text, task):
    (policy,) = make_entrant(parse_specification(text), task, "").candidates
    return policy


def weights_of_a_step(rule, runs=2):
    """The state before an update, and the factors that the policy gives in it."""
    task, seen = SharedTrunk(), []
    policy = GradientWeightingPolicy("rule", rule)
    policy.reset(np.arange(runs))
    control = policy.act(UNSEEN, {"losses": np.zeros((runs, 3))})

    def keep(gradients):
        seen.append(control.reweigh(gradients))
        return seen[-1]

    keys = keys_of(*range(runs))
    task.update(task.reset(keys), Control(control.weights, control.step_size, reweigh=keep))
    return task.reset(keys), seen[0]


def test_annealing_weighs_by_the_gradients_of_the_step():
    state, weights = weights_of_a_step(GradientAnnealing(alpha=0.25))
    for run in range(2):
        first, *others = (by_hand(state, name, run)[0].abs() for name in SharedTrunk().names)
        expected = [1.0] + [0.75 + 0.25 * float(first.max() / each.mean()) for each in others]
        assert weights[run].tolist() == pytest.approx(expected, rel=1e-4)


def test_ntk_weighs_by_the_traces_of_the_step():
    state, weights = weights_of_a_step(NTKWeights())
    for run in range(2):
        traces = np.array([float(by_hand(state, name, run)[2]) for name in SharedTrunk().names])
        assert weights[run].tolist() == pytest.approx(traces.sum() / traces, rel=1e-4)


def test_norms_are_those_by_the_shared_blocks():
    state, _ = weights_of_a_step(GradNorm())
    found = []

    def keep(gradients):
        found.append(gradient_weighting.norms(gradients))
        return gradients.losses

    task = SharedTrunk()
    control = Control(torch.ones(2, 3), torch.ones(2), reweigh=keep)
    task.update(task.reset(keys_of(0, 1)), control)
    for run in range(2):
        expected = [float(by_hand(state, name, run)[0].norm()) for name in task.names]
        assert found[0][run].tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", RULES)
def test_a_run_alone_gets_the_same_bits_as_in_a_batch(name):
    def losses(runs, seeds):
        policy = GradientWeightingPolicy(name, RULES[name]())
        policy.reset(np.array(runs))
        envs = AutoLossVectorEnv(task=SharedTrunk(), num_envs=len(runs))
        _, infos = envs.reset(seed=seeds)
        found = []
        for _ in range(11):
            infos = envs.step_control(policy.act(UNSEEN, infos))[-1]
            found.append(infos["losses"])
        return np.stack(found)

    together = losses([5, 6, 7], [5, 6, 7])
    for index, run in enumerate([5, 6, 7]):
        assert np.array_equal(losses([run], [run])[:, 0], together[:, index])


def test_traces_are_taken_only_at_the_steps_that_need_them(monkeypatch):
    calls = []
    traces = gradient_weighting.FIGURES["kernel_traces"]

    def counted(gradients):
        calls.append(1)
        return traces(gradients)

    monkeypatch.setitem(gradient_weighting.FIGURES, "kernel_traces", counted)
    policy = build("ntk:every=4", SharedTrunk())
    policy.reset(np.arange(2))
    envs = AutoLossVectorEnv(task=SharedTrunk(), num_envs=2)
    _, infos = envs.reset(seed=0)
    for _ in range(9):
        infos = envs.step_control(policy.act(UNSEEN, infos))[-1]
    assert len(calls) == 3


def test_a_run_that_diverges_leaves_its_neighbours_their_weights():
    task = SharedTrunk()
    envs = AutoLossVectorEnv(task=task, num_envs=3)
    envs.reset(seed=0)
    broken = SharedTrunk(broken=int(envs._batch.runs.state.keys.problem[1]))
    found = []
    for each in (task, broken):
        policy = build("annealing", each)
        policy.reset(np.arange(3))
        envs = AutoLossVectorEnv(task=each, num_envs=3)
        _, infos = envs.reset(seed=0)
        for _ in range(4):
            infos = envs.step_control(policy.act(UNSEEN, infos))[-1]
        found.append(infos["losses"])
    assert np.array_equal(found[0][[0, 2]], found[1][[0, 2]])
    assert np.isfinite(found[1]).all()


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("annealing", TwoBlocks(), "no parameter block of TwoBlocks belongs to all"),
        ("ntk", SMALL, r"QuadraticRegression gives no residuals\(parameters, batch\)"),
        ("ntk", QuadraticStepSize(max_steps=8), "every parameter block"),
        ("annealing:pair", SharedTrunk(), "there is no option 'pair'"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(text, task, message):
    with pytest.raises(ValueError, match=message):
        build(text, task)


@pytest.mark.parametrize("controller", [NTKWeights(), GradientWeightingPolicy("ntk", NTKWeights())])
def test_a_scheduler_refuses_what_it_cannot_measure(controller):
    with pytest.raises(ValueError, match=r"kernel_traces|weighs by the gradients of a step"):
        Scheduler(controller, losses=["a", "b"], max_steps=10, validate_every=5)
