"""What an update hands on of its gradients, and what it makes of the factors that it is given."""

import numpy as np
import pytest
import torch

from autoloss_gym import AutoLossVectorEnv, Control, Factors
from autoloss_gym.core.step_gradients import Joined
from autoloss_gym.environment.moves import Known
from autoloss_gym.environment.programs import Programs
from autoloss_gym.environment.runs import describe, start
from autoloss_gym.optimizers import Adam
from autoloss_gym.signals.features import Features
from autoloss_gym.tasks.step_sizes.quadratic import QuadraticStepSize
from autoloss_gym.tools import tree
from tests.support.shared_trunk import SharedTrunk, by_hand
from tests.support.toy_tasks import TwoBlocks, keys_of

cheap_or_not = pytest.mark.parametrize("cheap", [True, False], ids=["cheap", "expensive"])


def control(weights, reweigh=None):
    weights = torch.as_tensor(weights, dtype=torch.float32)
    return Control(weights=weights, step_size=torch.ones(len(weights)), reweigh=reweigh)


def measured(task, keys, weights, look):
    """What `look` makes of the gradients that an update of new runs hands on."""
    seen = []

    def keep(gradients):
        seen.append(look(gradients))
        return torch.ones_like(gradients.losses)

    task.update(task.reset(keys), control(weights, keep))
    (found,) = seen
    return found


def fresh(gradients):
    """Factors that no two runs or losses have in common, from all that there is to see."""
    products = gradients.gramian().sum(2) / (1 + gradients.kernel_traces())
    return products / (1 + products.abs()) + gradients.losses / (1 + gradients.losses)


@cheap_or_not
def test_gradients_and_inner_products_are_those_by_hand_and_0_for_what_a_run_does_not_use(cheap):
    task = SharedTrunk(cheap=cheap)
    weights = [[1, 1, 1], [2, 0, 0.5], [0, 0, 0]]
    before = task.reset(keys_of(1, 2, 3))
    jacobian, gramian, found, used, losses, blocks = measured(
        task,
        keys_of(1, 2, 3),
        weights,
        lambda g: (
            g.jacobian(),
            g.gramian(),
            g.kernel_traces(),
            g.used,
            g.losses,
            g.shared_blocks,
        ),
    )
    expected = torch.zeros(3, 3, 3, dtype=torch.float64)
    traces = torch.zeros(3, 3, dtype=torch.float64)
    for run in range(3):
        for k, name in enumerate(task.names):
            if weights[run][k]:
                expected[run, k], _, traces[run, k] = by_hand(before, name, run)
    assert blocks == ("trunk",)
    torch.testing.assert_close(jacobian.double(), expected, rtol=1e-4, atol=1e-5)
    products = expected @ expected.mT
    torch.testing.assert_close(gramian.double(), products, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.double(), traces, rtol=1e-5, atol=0)
    assert torch.equal(used, torch.tensor(weights) != 0)
    assert torch.equal(losses != 0, used)


def test_part_of_the_runs_sees_its_own_figures_alone():
    def look(gradients):
        part = gradients.of(slice(1, 4)).of(slice(1, 2))
        for figure in (type(part).jacobian, type(part).gramian, type(part).kernel_traces):
            assert torch.equal(figure(part), figure(gradients)[2:3])
        return torch.equal(part.losses, gradients.losses[2:3])

    assert measured(SharedTrunk(), keys_of(1, 2, 3, 4), torch.ones(4, 3), look)


@cheap_or_not
def test_factors_multiply_the_weights_bit_for_bit(cheap):
    task, factors = (
        SharedTrunk(cheap=cheap, optimizer=Adam(learning_rate=0.05)),
        torch.tensor([[0.3, 2.0, -1.0]]),
    )
    weights = torch.tensor([[1.5, 0.2, 0.7]])
    one, _ = task.update(task.reset(keys_of(1)), control(weights, lambda _: factors))
    other, _ = task.update(task.reset(keys_of(1)), control(weights * factors))
    for name, values in one.parameters.items():
        assert torch.equal(values, other.parameters[name]), name


def test_blocks_of_one_pair_have_factors_of_their_own():
    task = SharedTrunk()
    before, state = task.reset(keys_of(1)), task.reset(keys_of(1))
    shared, own = torch.tensor([[0.5, 0.0, 2.0]]), torch.tensor([[1.0, 3.0, 1.0]])
    state, _ = task.update(state, control(torch.ones(1, 3), lambda _: Factors(shared, own)))
    found = {name: by_hand(before, name, 0) for name in task.names}
    moved = {
        name: (before.parameters[name] - value)[0].double() / 1e-3
        for name, value in state.parameters.items()
    }
    expected = 0.5 * found["first"][0] + 2 * found["third"][0]
    torch.testing.assert_close(moved["trunk"], expected, rtol=1e-3, atol=1e-3)
    for name, factor in zip(task.names, (1, 3, 1), strict=True):
        torch.testing.assert_close(
            moved[f"own {name}"], factor * found[name][1][None], rtol=1e-3, atol=1e-3
        )


@cheap_or_not
def test_a_run_alone_gets_the_same_bits_as_in_a_batch(cheap):
    task = SharedTrunk(cheap=cheap, optimizer=Adam(learning_rate=0.05))
    weights = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 2.0], [1.0, 1.0, 0.0], [0.5, 2.0, 1.0]])
    together = task.reset(keys_of(1, 2, 3, 4))
    for _ in range(8):
        together, _ = task.update(together, control(weights, fresh))
    for run in range(4):
        alone = task.reset(keys_of(run + 1))
        for _ in range(8):
            alone, _ = task.update(alone, control(weights[run : run + 1], fresh))
        for name, values in alone.parameters.items():
            assert torch.equal(values[0], together.parameters[name][run]), name


def test_a_run_that_is_not_finite_goes_idle_and_is_not_handed_on():
    task, seen = SharedTrunk(broken=2), []

    def look(gradients):
        seen.append((gradients.used, gradients.losses, gradients.jacobian(), gradients.gramian()))
        return fresh(gradients)

    state = task.reset(keys_of(1, 2, 3))
    before = {name: values.clone() for name, values in state.parameters.items()}
    for _ in range(2):
        state, _ = task.update(state, control(torch.ones(3, 3), look))
    assert state.diverged.tolist() == [False, True, False]
    for used, *figures in seen:
        assert used.any(dim=1).tolist() == [True, False, True]
        assert all(not figure[1].any() and torch.isfinite(figure).all() for figure in figures)
    alone = task.reset(keys_of(3))
    for _ in range(2):
        alone, _ = task.update(alone, control(torch.ones(1, 3), fresh))
    for name, values in state.parameters.items():
        assert torch.equal(values[1], before[name][1])
        assert torch.equal(values[2], alone.parameters[name][0])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_run_whose_factors_are_not_finite_takes_no_step_and_no_later_one(value):
    task, state = SharedTrunk(), SharedTrunk().reset(keys_of(1, 2))
    before = {name: values.clone() for name, values in state.parameters.items()}
    bad = torch.tensor([[1.0, value, 1.0], [1.0, 1.0, 1.0]])
    state, _ = task.update(state, control(torch.ones(2, 3), lambda _: bad))
    state, _ = task.update(state, control(torch.ones(2, 3)))
    assert state.diverged.tolist() == [True, False]
    for name, values in state.parameters.items():
        assert torch.equal(values[0], before[name][0])
        assert torch.isfinite(values[1]).all()
        assert not torch.equal(values[1], before[name][1])


def test_factors_of_a_run_that_rests_do_not_matter():
    task = SharedTrunk()
    state, _ = task.update(
        task.reset(keys_of(1)), control(torch.zeros(1, 3), lambda g: g.losses / 0)
    )
    assert state.diverged.tolist() == [False]


def test_where_no_run_uses_any_pair_nothing_is_asked():
    task = SharedTrunk(cheap=False)
    keys = keys_of(1, 2)
    state, _ = task.update(task.reset(keys), control(torch.zeros(2, 3), lambda g: 1 / 0))
    assert state.steps.tolist() == [1, 1]


def test_a_differentiable_update_has_its_graph_with_factors_that_are_constant():
    task, weights = SharedTrunk(), torch.ones(1, 3, requires_grad=True)
    given = Control(weights=weights, step_size=torch.ones(1), reweigh=fresh)
    state = task.reset(keys_of(1))
    jacobian, factors = measured(
        task, keys_of(1), torch.ones(1, 3), lambda g: (g.jacobian(), fresh(g))
    )
    moved, _ = task.update(state, given, differentiable=True)
    (found,) = torch.autograd.grad(moved.parameters["trunk"].sum(), weights)
    torch.testing.assert_close(found, -1e-3 * factors * jacobian.sum(2))


def test_everything_runs_without_data():
    task = SharedTrunk()
    empty = tree.map_tensors(lambda leaf: leaf.to("meta"), task.reset(keys_of(1, 2)))
    given = tree.map_tensors(lambda leaf: leaf.to("meta"), control(torch.ones(2, 3), fresh))
    moved, _ = task.update(empty, given)
    assert moved.parameters["trunk"].shape == (2, 3)


def test_runs_of_several_controls_are_joined_with_factors_of_1_where_none_are_given():
    gradients = measured(SharedTrunk(), keys_of(1, 2, 3), torch.ones(3, 3), lambda g: g)
    own = Factors(torch.full((1, 3), 2.0), torch.full((1, 3), 3.0))
    parts = [None, lambda g: own, lambda g: g.losses]
    reweigh = Joined(parts, [slice(0, 1), slice(1, 2), slice(2, 3)])
    found = reweigh(gradients)
    ones, losses = torch.ones(1, 3), gradients.losses[2:]
    assert torch.equal(found.shared, torch.cat([ones, own.shared, losses]))
    assert torch.equal(found.own, torch.cat([ones, own.own, losses]))
    assert reweigh.latest is found


# What is refused, in one line


def test_a_choice_is_not_weighed():
    with pytest.raises(ValueError, match="expected one of them"):
        Control(torch.eye(2), torch.ones(2), np.array([0, 1]), reweigh=fresh)


def test_factors_of_another_shape_are_refused():
    task = SharedTrunk()
    with pytest.raises(ValueError, match=r"reweigh\(\) returned shape \(2,\), expected \(2, 3\)"):
        task.update(task.reset(keys_of(1, 2)), control(torch.ones(2, 3), lambda g: torch.ones(2)))


def test_pairs_that_share_no_block_have_no_common_gradients():
    with pytest.raises(ValueError, match=r"no parameter block belongs to all of .* left, right"):
        measured(TwoBlocks(), keys_of(1), torch.ones(1, 3), lambda g: g.gramian())


def test_a_task_without_residuals_says_what_to_write():
    with pytest.raises(ValueError, match=r"TwoBlocks gives no residuals: write residuals\("):
        measured(TwoBlocks(), keys_of(1), torch.ones(1, 3), lambda g: g.kernel_traces())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: {"first": found["first"]}, "expected some of 'second' as well"),
        (lambda found: found | {"second": found["second"][:, 0]}, r"shape \(2,\) for 'second'"),
        (lambda found: found | {"second": found["second"][:1]}, r"returned shape \(1, 2\)"),
    ],
    ids=["missing", "one number", "one run"],
)
def test_residuals_of_another_form_are_refused(change, message):
    class Wrong(SharedTrunk):
        def residuals(self, parameters, batch):
            return change(super().residuals(parameters, batch))

        def losses(self):
            return SharedTrunk(count=2).losses()

    with pytest.raises(ValueError, match=message):
        measured(Wrong(count=2), keys_of(1, 2), torch.ones(2, 2), lambda g: g.kernel_traces())


def envs_of(task, **arguments):
    envs = AutoLossVectorEnv(task=task, num_envs=2, **arguments)
    envs.reset(seed=0)
    return envs


def test_an_environment_plays_such_controls_to_the_end_of_its_runs():
    envs = envs_of(SharedTrunk())
    for _ in range(12):
        _, _, ended, _, infos = envs.step_control(control(torch.ones(2, 3), fresh))
    assert ended.all()
    assert infos["final_info"]["steps"].tolist() == [12, 12]


def test_a_segment_is_played_like_its_steps():
    one, other = envs_of(SharedTrunk()), envs_of(SharedTrunk())
    other.rollout([control(torch.ones(2, 3), fresh)] * 5)
    for _ in range(5):
        infos = one.step_control(control(torch.ones(2, 3), fresh))[-1]
    last = other.step_control(control(torch.ones(2, 3)))[-1]
    expected = one.step_control(control(torch.ones(2, 3)))[-1]
    assert np.array_equal(last["losses"], expected["losses"])
    assert not np.array_equal(infos["losses"], last["losses"])


def test_an_environment_that_compiles_refuses_what_it_cannot_compile():
    task = SharedTrunk()
    runs, programs = start(task, keys_of(1), 4), Programs(describe(task), compile=True)
    features = Features(describe(task))
    moves = Known([control(torch.ones(1, 3), fresh)])
    with pytest.raises(ValueError, match=r"compile=True: Control.*use compile=False"):
        programs.update(task, runs, moves, 1, features, quiet=True)


def test_a_task_that_hands_on_no_gradients_refuses():
    envs = envs_of(QuadraticStepSize(max_steps=8))
    with pytest.raises(ValueError, match="QuadraticStepSize does not hand on the gradients"):
        envs.step_control(control(torch.ones(2, 1), lambda g: g.losses))


def test_what_is_no_function_is_refused():
    given = control(torch.ones(2, 3))
    given.reweigh = "equal"
    with pytest.raises(ValueError, match="reweigh='equal': expected a function"):
        envs_of(SharedTrunk()).step_control(given)
