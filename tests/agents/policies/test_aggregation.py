"""Aggregators against TorchJD's own on Jacobians, and against closed forms of two gradients."""

import sys
import warnings

import numpy as np
import pytest
import torch

from agents.evaluation.entrants import make_entrant
from agents.evaluation.loop import play_episodes
from agents.policies.gradient_kinds import aggregation_kinds
from agents.policies.grammar import parse_specification
from autoloss_gym import AutoLossVectorEnv, Control, Scheduler, random
from autoloss_gym.controllers.policies import aggregation as module
from autoloss_gym.controllers.policies.aggregation import AGGREGATORS, AggregationPolicy
from autoloss_gym.controllers.policies.static import FixedWeights
from autoloss_gym.core.differentiation import PartialGradient
from autoloss_gym.core.step_gradients import StepGradients
from autoloss_gym.core.task import Pair
from autoloss_gym.tasks.step_sizes.quadratic import QuadraticStepSize
from tests.support.shared_trunk import SharedTrunk
from tests.support.toy_tasks import Fragile, TwoBlocks

torchjd = pytest.importorskip("torchjd.aggregation")

UNSEEN = np.zeros((1, 0), np.float32)
SOLVERS = {"cagrad": "cvxpy", "nash_mtl": "ecos", "upgrad": "quadprog"}
OWN = {
    "pcgrad": torchjd.PCGrad,
    "cagrad": lambda: torchjd.CAGrad(c=0.5),
    "mgda": torchjd.MGDA,
    "nash_mtl": lambda: torchjd.NashMTL(n_tasks=3),
    "aligned_mtl": torchjd.AlignedMTL,
    "imtl_g": torchjd.IMTLG,
    "upgrad": torchjd.UPGrad,
}


def policy(name, number=4):
    """The policy of an aggregator, reset for some runs."""
    if name in SOLVERS:
        pytest.importorskip(SOLVERS[name])
    made = AggregationPolicy(name, name, {"c": 0.5} if name == "cagrad" else {})
    made.reset(np.arange(number))
    return made


def of_jacobians(jacobians, used=None):
    """What an update would hand on of runs with these gradients (num_envs, pairs, size)."""
    num_envs, number, _ = jacobians.shape
    pairs = tuple(Pair(f"loss {k}", ("all",)) for k in range(number))
    gradients = {
        (k, "all"): PartialGradient(jacobians[:, k], None, jacobians[:, k].square().sum(1))
        for k in range(number)
    }
    used = torch.ones(num_envs, number, dtype=torch.bool) if used is None else used
    losses = torch.ones(num_envs, number)
    return StepGradients(pairs, losses, used, gradients, len, range(num_envs), num_envs)


def drawn(number, pairs, size=7, seed=0):
    return torch.randn(number, pairs, size, generator=torch.Generator().manual_seed(seed))


def combined(factors, jacobians):
    return (factors.shared[:, :, None] * jacobians).sum(1)


def test_every_aggregator_has_a_row():
    assert {kind.name for kind in aggregation_kinds()} == set(AGGREGATORS) == set(OWN)


@pytest.mark.parametrize("name", AGGREGATORS)
def test_three_gradients_are_combined_as_by_torchjds_own_aggregator(name):
    ours = policy(name)
    own = [OWN[name]() for _ in range(4)]
    for step in range(3):  # one keeps a state
        jacobians = drawn(4, 3, seed=step)
        found = combined(ours._factors(of_jacobians(jacobians)), jacobians)
        seeds = random.fold_in(random.fold_in(torch.arange(4), "aggregation"), step).tolist()
        for run in range(4):
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seeds[run])
                with warnings.catch_warnings(action="ignore"):
                    expected = own[run](jacobians[run])
            torch.testing.assert_close(found[run], expected, rtol=1e-4, atol=1e-5)


def test_pcgrad_takes_of_each_of_two_gradients_what_conflicts_with_the_other():
    jacobians = torch.tensor([[[1.0, 0.0], [-1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]])
    found = combined(policy("pcgrad", 2)._factors(of_jacobians(jacobians)), jacobians)
    # ⟨g, h⟩ = -1: g + h/2 = (½, ½) and h + g = (0, 1); without a conflict g + h.
    torch.testing.assert_close(found, torch.tensor([[0.5, 1.5], [2.0, 1.0]]))


def test_mgda_finds_the_shortest_average_of_two_gradients():
    jacobians = drawn(50, 2)
    jacobians[:20, 0] *= 0.1
    jacobians[20:30, 1] *= 0.1
    weights = policy("mgda", 50)._factors(of_jacobians(jacobians)).shared.double()
    g, h = jacobians.double().unbind(1)
    share = (((h - g) * h).sum(1) / (g - h).square().sum(1)).clamp(0, 1)
    torch.testing.assert_close(weights, torch.stack([share, 1 - share], 1), rtol=1e-4, atol=1e-5)
    assert all(0 < (share == end).sum() < 30 for end in (0, 1))


@pytest.mark.parametrize("name", ["pcgrad", "mgda", "imtl_g", "aligned_mtl", "upgrad", "cagrad"])
@pytest.mark.parametrize("unit", [1e-5, 1e5])
def test_the_unit_of_the_losses_does_not_matter(name, unit):
    jacobians = drawn(4, 3)
    found = policy(name)._factors(of_jacobians(unit * jacobians)).shared
    expected = policy(name)._factors(of_jacobians(jacobians)).shared
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", AGGREGATORS)
def test_a_run_gets_the_same_bits_whatever_the_number_of_runs_and_no_generator_moves(name):
    jacobians = drawn(4, 3)
    state = torch.get_rng_state()
    together = policy(name)
    found = [together._factors(of_jacobians(jacobians)).shared for _ in range(3)]
    for run in range(4):
        alone = policy(name, 1)
        alone.reset(np.array([run]))
        for each in found:
            own = alone._factors(of_jacobians(jacobians[run : run + 1])).shared
            assert torch.equal(own[0], each[run])
    assert torch.equal(torch.get_rng_state(), state)


def test_the_order_of_pcgrads_projections_changes_from_step_to_step():
    jacobians, ours = drawn(8, 3, size=2), policy("pcgrad", 8)
    steps = [ours._factors(of_jacobians(jacobians)).shared for _ in range(6)]
    assert len({tuple(step.flatten().tolist()) for step in steps}) > 1


@pytest.mark.parametrize("name", AGGREGATORS)
def test_pairs_that_a_run_does_not_use_are_no_part_of_its_aggregation(name):
    jacobians = drawn(4, 3)
    used = torch.tensor(
        [[True, False, True], [False, True, False], [False, False, False], [True, True, True]]
    )
    hidden = torch.where(used[:, :, None], jacobians, torch.nan)
    found = policy(name)._factors(of_jacobians(hidden, used)).shared
    ours = policy(name)
    pair = ours._factors(of_jacobians(jacobians[:1, [0, 2]])).shared
    torch.testing.assert_close(found[0, [0, 2]], pair[0])
    assert found[0, 1] == 1
    assert found[1:3].tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("name", AGGREGATORS)
def test_gradients_of_0_leave_finite_weights(name):
    zero = torch.zeros(1, 2, 5)
    one = torch.cat([zero[:, :1], torch.ones(1, 1, 5)], dim=1)
    for jacobians in (zero, one):
        with warnings.catch_warnings(action="ignore"):
            found = policy(name, 1)._factors(of_jacobians(jacobians))
        assert torch.isfinite(found.shared).all()
        assert torch.isfinite(found.own).all()


def test_where_a_solver_fails_the_gradients_are_summed_and_one_warning_says_so(monkeypatch):
    def fails(matrix):
        raise ArithmeticError("no solution")

    ours = policy("mgda")
    monkeypatch.setattr(module, "make_weighting", lambda *arguments: fails)
    with pytest.warns(UserWarning, match=r"mgda: .* summed .*ArithmeticError: no solution"):
        ours._factors(of_jacobians(drawn(4, 3)))
    found = ours._factors(of_jacobians(drawn(4, 3)))  # a second warning would be an error
    assert torch.equal(found.shared, torch.ones(4, 3))


# In environments


def played(policies, task, seeds, steps=6):
    """Parameters of all runs after some steps."""
    envs = AutoLossVectorEnv(task=task, num_envs=len(policies) * len(seeds))
    infos = []
    play_episodes(policies, envs, np.array(seeds), lambda step: infos.append(step.infos))
    return [each["losses"] for each in infos[: steps + 1]], infos[-1]["final_info"]


def test_blocks_of_one_pair_take_their_own_gradient_with_weight_1():
    task = SharedTrunk(count=2)
    envs = AutoLossVectorEnv(task=task, num_envs=2)
    envs.reset(seed=0)
    state = task.reset(keys := envs._batch.runs.state.keys)
    aggregated = policy("mgda", 2).act(UNSEEN, {"losses": np.zeros((2, 2))})
    plain = Control(weights=torch.ones(2, 2), step_size=torch.ones(2))
    one, _ = task.update(state, aggregated)
    other, _ = task.update(task.reset(keys), plain)
    for name in ("own first", "own second"):
        assert torch.equal(one.parameters[name], other.parameters[name])
    assert not torch.equal(one.parameters["trunk"], other.parameters["trunk"])


@pytest.mark.parametrize("name", ["pcgrad", "upgrad"])
def test_an_episode_is_the_same_alone_and_beside_other_policies(name):
    task, fixed = SharedTrunk(), FixedWeights("fixed:1", (1.0, 1.0, 1.0))
    together, final = played([fixed, policy(name), policy("mgda")], task, [3, 4, 5])
    alone, own_final = played([policy(name)], task, [3, 4, 5])
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one[3:6], other)
    assert np.array_equal(final["score"][3:6], own_final["score"])
    plain, _ = played([fixed], task, [3, 4, 5])
    assert np.array_equal(together[-1][:3], plain[-1])


def test_shares_are_those_of_the_weights_that_were_played(monkeypatch):
    fixed = FixedWeights("fixed:1", (1.0, 1.0, 1.0))
    weights = torch.tensor([-3.0, 1.0, 0.0])
    ours = policy("mgda", 2)
    monkeypatch.setattr(module, "make_weighting", lambda *arguments: lambda matrix: weights)
    envs = AutoLossVectorEnv(task=SharedTrunk(), num_envs=4)
    shares = []
    play_episodes([fixed, ours], envs, np.arange(2), lambda step: shares.append(step.shares))
    expected = [[1 / 3] * 3] * 2 + [[0.75, 0.25, 0.0]] * 2
    np.testing.assert_allclose(shares[0], expected, rtol=1e-6)


def test_a_run_that_diverges_never_reaches_a_solver(monkeypatch):
    seen, ours = [], policy("mgda", 3)

    def keep(matrix):
        seen.append(matrix)
        return torch.ones(len(matrix))

    monkeypatch.setattr(module, "make_weighting", lambda *arguments: keep)
    task = SharedTrunk()
    envs = AutoLossVectorEnv(task=task, num_envs=3)
    envs.reset(seed=0)
    broken = int(envs._batch.runs.state.keys.problem[1])
    envs = AutoLossVectorEnv(task=SharedTrunk(broken=broken), num_envs=3)
    _, infos = envs.reset(seed=0)
    for _ in range(2):
        envs.step_control(ours.act(UNSEEN, infos))
    assert len(seen) == 4
    assert all(torch.isfinite(matrix).all() for matrix in seen)


def build(text, task):
    return make_entrant(parse_specification(text), task, "").candidates


def test_cagrad_reads_how_far_it_may_go():
    pytest.importorskip("cvxpy")
    task = SharedTrunk(count=2)
    assert build("cagrad", task)[0].arguments == {"c": 0.5}
    assert build("cagrad:0.2", task)[0].arguments == {"c": 0.2}
    with pytest.raises(ValueError, match="expected cagrad or cagrad:C with C from 0 to 1"):
        parse_specification("cagrad:2")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (TwoBlocks(), "no parameter block of TwoBlocks belongs to all of left, right, both"),
        (Fragile(), "no parameter block of Fragile belongs to all of safe, fragile"),
        (QuadraticStepSize(max_steps=8), "has a single pair"),
        (SharedTrunk(count=1), "has a single pair"),
    ],
)
def test_a_task_without_gradients_to_aggregate_is_refused(task, message):
    with pytest.raises(ValueError, match=message):
        build("pcgrad", task)


@pytest.mark.parametrize(
    ("name", "missing"), [("pcgrad", "torchjd.aggregation"), ("upgrad", "quadprog")]
)
def test_what_is_not_installed_is_named_with_its_extra(name, missing, monkeypatch):
    if missing == "quadprog":

        def unavailable(*arguments):
            raise ImportError("UPGrad needs quadprog")

        monkeypatch.setattr(module, "make_weighting", unavailable)
    else:
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ValueError) as caught:
        build(name, SharedTrunk())
    assert str(caught.value).startswith(f"policy '{name}': it needs TorchJD")
    assert str(caught.value).endswith("pip install 'autoloss_gym[mtl]'")
    assert "\n" not in str(caught.value)


def test_a_loop_of_ones_own_refuses_in_one_line():
    with pytest.raises(
        ValueError, match=r"weighs by the gradients of a step.* call TorchJD itself"
    ):
        Scheduler(policy("pcgrad"), losses=["a", "b"], max_steps=10, validate_every=5)
