import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from autoloss_gym import random
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.loss import ClosedForm
from autoloss_gym.core.task import Control, Pair, State
from autoloss_gym.optimizers import SGD, Adam
from autoloss_gym.tasks.supervised.quadratic_regression import QuadraticRegression
from autoloss_gym.tools import tree
from tests.support.toy_tasks import SMALL, Fragile, TwoBlocks, keys_of, samples

OPTIMIZERS = {"adam": Adam(learning_rate=0.1), "momentum": SGD(learning_rate=0.01, momentum=0.9)}
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
on_host_or_not = pytest.mark.parametrize(
    "on_host", [True, False], ids=["choice_known", "choice_unknown"]
)


def choose(*choice: int, pairs: int = 3, on_host: bool = True) -> Control:
    known = np.array(choice) if on_host else None
    return Control(
        weights=torch.eye(pairs)[list(choice)], step_size=torch.ones(len(choice)), choice=known
    )


def snapshot(state: State) -> dict[str, torch.Tensor]:
    """Copies of all that an optimizer step may change, by name."""
    found = {f"parameters {name}": value.clone() for name, value in state.parameters.items()}
    for block, optimizer in state.optimizer.items():
        found |= {f"{block} {name}": value.clone() for name, value in optimizer.items()}
    return found


def schedule(steps: int, runs: int, pairs: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(pairs, size=(steps, runs))


# One optimizer per block


def reference(
    task: QuadraticRegression, state: State, choices: list[int], shared: bool
) -> torch.Tensor:
    """The idiomatic loop on run 0, with one Adam for both losses or with one for each."""
    packed = state.parameters["weights"][0].clone().requires_grad_()
    optimizers = [
        torch.optim.Adam([packed], lr=task.optimizer.learning_rate)
        for _ in range(1 if shared else 2)
    ]
    u, y = (values[0] for values in samples(state.data, "training"))
    for choice in choices:
        linear, quadratic = packed[:4], packed[4:].view(4, 4)
        predictions = u @ linear + ((u @ quadratic) * u).sum(1) / 10
        loss = (
            (predictions - y).square().mean()
            if choice == 0
            else task.l1_coefficient * packed.abs().sum()
        )
        optimizer = optimizers[0 if shared else choice]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return packed.detach()


def test_all_losses_of_a_block_share_one_adam():
    choices, state = [step % 2 for step in range(50)], SMALL.reset(keys_of(1))
    shared, separate = (reference(SMALL, state, choices, shared) for shared in (True, False))
    for choice in choices:
        state, _ = SMALL.update(state, choose(choice, pairs=2))
    torch.testing.assert_close(state.parameters["weights"][0], shared, rtol=1e-4, atol=1e-5)
    assert (shared - separate).abs().max() > 0.02  # the wrong design would be noticed
    assert state.optimizer["weights"]["steps"].tolist() == [50]


# What is not chosen moves nothing


@on_host_or_not
@each_optimizer
def test_a_block_whose_pairs_are_not_chosen_keeps_every_bit(optimizer, on_host):
    task, runs = TwoBlocks(optimizer=optimizer), 5
    state, blocks = (
        task.reset(keys_of(*range(runs))),
        {pair.loss: pair.blocks for pair in task.pairs},
    )
    for choice in schedule(30, runs, 3):
        before = snapshot(state)
        state, _ = task.update(state, choose(*choice, on_host=on_host))
        for name, value in snapshot(state).items():
            block = name.removeprefix("parameters ").split()[0]
            for i, pair in enumerate(choice):
                changed = block in blocks[task.pairs[pair].loss]
                assert torch.equal(value[i], before[name][i]) != changed, (
                    name,
                    i,
                    task.pairs[pair].loss,
                )


@on_host_or_not
@pytest.mark.parametrize("choice", [0, 1])
def test_a_block_that_no_run_chose_keeps_every_bit(choice, on_host):
    task = TwoBlocks()
    state, _ = task.update(task.reset(keys_of(1, 2)), choose(2, 2, on_host=on_host))
    before, idle = snapshot(state), "ba"[choice]
    after = snapshot(task.update(state, choose(choice, choice, on_host=on_host))[0])
    assert all(
        torch.equal(after[name], before[name])
        for name in after
        if name.endswith(idle) or name.startswith(idle)
    )


def test_weights_of_zero_move_nothing_and_measure_nothing():
    task = TwoBlocks()
    state, _ = task.update(task.reset(keys_of(1, 2)), choose(2, 0))
    before = snapshot(state)
    state, evaluation = task.update(
        state, Control(weights=torch.zeros(2, 3), step_size=torch.ones(2))
    )
    assert not evaluation.measured.any()
    assert state.steps.tolist() == [2, 2]
    assert all(torch.equal(value, before[name]) for name, value in snapshot(state).items())


@each_optimizer
def test_knowing_the_choice_on_the_host_changes_no_bit(optimizer):
    task, runs = TwoBlocks(optimizer=optimizer), 5
    states = [task.reset(keys_of(*range(runs))) for _ in range(2)]
    for choice in schedule(20, runs, 3):
        states = [
            task.update(s, choose(*choice, on_host=h))[0]
            for s, h in zip(states, (True, False), strict=True)
        ]
    first, second = map(snapshot, states)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


# What is measured


def test_observe_measures_every_loss_and_norm_by_hand_and_moves_nothing():
    task = TwoBlocks()
    state = task.reset(keys_of(1, 2))
    before, evaluation = snapshot(state), task.measure(state)
    a, target = state.parameters["a"], state.data["target"]
    matrix, vector = state.parameters["b"].split([4, 2], dim=1)
    left, size = (a - target).square().sum(1), vector.square().sum(1)
    torch.testing.assert_close(
        evaluation.losses[:, :2], torch.stack([left, matrix.square().sum(1) + size**2], 1)
    )
    norms = [4 * left / 3, (4 * matrix.square().sum(1) + 16 * size**3) / 6]
    torch.testing.assert_close(evaluation.gradient_norms[:, :2], torch.stack(norms, 1).sqrt())
    noise = random.normal(random.fold_in(state.keys.run, state.steps), (3,))
    dot, excess = (a * noise).sum(1), (vector - 1).square().sum(1)
    torch.testing.assert_close(evaluation.losses[:, 2], dot**2 + excess)
    norm = ((4 * dot**2 * noise.square().sum(1) + 4 * excess) / 9).sqrt()  # of 3 + 6 parameters
    torch.testing.assert_close(evaluation.gradient_norms[:, 2], norm)
    assert evaluation.measured.all()
    assert all(torch.equal(value, before[name]) for name, value in snapshot(state).items())


def test_an_update_reports_the_chosen_losses_at_the_parameters_before_it():
    task = TwoBlocks()
    state = task.reset(keys_of(1, 2, 3))
    observed = task.measure(state)
    _, evaluation = task.update(state, choose(0, 1, 2))
    assert evaluation.measured.tolist() == torch.eye(3, dtype=torch.bool).tolist()
    for name in ("losses", "gradient_norms"):
        assert torch.equal(getattr(evaluation, name).diagonal(), getattr(observed, name).diagonal())


def test_every_step_of_every_run_draws_its_own_batch_and_repeats_it():
    task, seen = TwoBlocks(), []
    state = task.reset(keys_of(1, 2))
    for _ in range(3):
        keys = random.fold_in(state.keys.run, state.steps)
        seen += task.batch(state.data, keys)["noise"].tolist()
        state, _ = task.update(state, choose(0, 1))
    assert len({tuple(noise) for noise in seen}) == 6
    again = task.reset(keys_of(1, 2))
    assert (
        task.batch(again.data, random.fold_in(again.keys.run, again.steps))["noise"].tolist()
        == seen[:2]
    )


# Weights and step size


def test_weighted_losses_take_a_step_along_the_weighted_gradient_by_hand():
    task = TwoBlocks(optimizer=SGD(learning_rate=0.01))
    state = task.reset(keys_of(1, 2))
    weights, step_size = torch.tensor([[0.5, 2.0, 0.25], [0.0, 1.0, 3.0]]), torch.tensor([1.0, 3.0])
    a, target = state.parameters["a"].clone(), state.data["target"]
    matrix, vector = state.parameters["b"].clone().split([4, 2], dim=1)
    noise = random.normal(random.fold_in(state.keys.run, state.steps), (3,))
    left, right, both = weights[:, :, None].unbind(1)
    gradient_a = left * 2 * (a - target) + both * 2 * (a * noise).sum(1, keepdim=True) * noise
    gradient_matrix = right * 2 * matrix
    gradient_vector = right * 4 * vector.square().sum(1, keepdim=True) * vector + both * 2 * (
        vector - 1
    )
    state, evaluation = task.update(state, Control(weights=weights, step_size=step_size))
    rate = 0.01 * step_size[:, None]
    torch.testing.assert_close(state.parameters["a"], a - rate * gradient_a)
    expected_b = torch.cat(
        [matrix - rate * gradient_matrix, vector - rate * gradient_vector], dim=1
    )
    torch.testing.assert_close(state.parameters["b"], expected_b)
    assert evaluation.measured.tolist() == (weights != 0).tolist()


def test_weights_follow_torch_adam_on_the_weighted_sum_of_the_losses():
    state, weights = SMALL.reset(keys_of(1)), torch.tensor([[0.3, 0.7]])
    packed = state.parameters["weights"][0].clone().requires_grad_()
    optimizer = torch.optim.Adam([packed], lr=SMALL.optimizer.learning_rate)
    u, y = (values[0] for values in samples(state.data, "training"))
    for _ in range(30):
        predictions = u @ packed[:4] + ((u @ packed[4:].view(4, 4)) * u).sum(1) / 10
        optimizer.zero_grad()
        (
            0.3 * (predictions - y).square().mean()
            + 0.7 * SMALL.l1_coefficient * packed.abs().sum()
        ).backward()
        optimizer.step()
        state, _ = SMALL.update(state, Control(weights=weights, step_size=torch.ones(1)))
    torch.testing.assert_close(
        state.parameters["weights"][0], packed.detach(), rtol=1e-4, atol=1e-5
    )


@each_optimizer
@on_host_or_not
def test_expensive_pairs_get_the_same_bits_as_cheap_ones(optimizer, on_host):
    tasks = [TwoBlocks(optimizer=optimizer, cheap=cheap) for cheap in (True, False)]
    states = [task.reset(keys_of(*range(5))) for task in tasks]
    for choice in schedule(20, 5, 3):
        (first, one), (second, other) = (
            task.update(state, choose(*choice, on_host=on_host))
            for task, state in zip(tasks, states, strict=True)
        )
        states = [first, second]
        assert torch.equal(one.measured, other.measured)
        for name in ("losses", "gradient_norms"):
            assert torch.equal(getattr(one, name)[one.measured], getattr(other, name)[one.measured])
        left, right = snapshot(first), snapshot(second)
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_an_expensive_loss_is_computed_only_for_the_runs_that_chose_it(monkeypatch):
    sizes, task = [], TwoBlocks(cheap=False)
    losses = task.losses()
    counted = {
        "right": lambda p, batch: sizes.append(len(batch["noise"])) or losses["right"](p, batch)
    }
    monkeypatch.setattr(TwoBlocks, "losses", lambda self: losses | counted)
    state = task.reset(keys_of(*range(5)))
    for choice in ([1, 0, 1, 2, 0], [0, 0, 2, 0, 0]):
        state, _ = task.update(state, choose(*choice, on_host=False))
    assert sizes == [2]


@pytest.mark.parametrize("share", [0.9, 1.0])
def test_many_runs_are_computed_in_chunks_with_the_bits_of_each_run_alone(share):
    """An expensive loss of 150 runs, chosen by most or by all of them."""
    sizes = []

    class Spy(TwoBlocks):
        def losses(self):
            losses = super().losses()
            return losses | {
                "both": lambda p, batch: (
                    sizes.append(len(batch["noise"])) or losses["both"](p, batch)
                )
            }

    task, runs = Spy(cheap=False), 150
    state, choice = (
        task.reset(keys_of(*range(runs))),
        np.where(np.arange(runs) < share * runs, 2, 0),
    )
    for _ in range(3):
        state, evaluation = task.update(state, choose(*choice))
    assert sizes == [64, 64, round(share * runs) - 128] * 3
    for run in (0, 63, 64, 134, 149):
        alone = task.reset(keys_of(run))
        for _ in range(3):
            alone, alone_evaluation = task.update(alone, choose(choice[run]))
        for name, values in alone.parameters.items():
            assert torch.equal(values[0], state.parameters[name][run])
        assert torch.equal(alone_evaluation.losses[0], evaluation.losses[run])


@pytest.mark.parametrize(("cheap", "expected"), [(False, [True, False]), (True, [True, True])])
def test_a_loss_that_all_runs_chose_is_computed_on_their_own_data_without_a_copy(cheap, expected):
    """Rows are taken out only where some runs did not choose the loss, and never of one that is
    cheap.
    """
    same = []

    class Spy(TwoBlocks):
        def losses(self):
            losses = super().losses()
            return losses | {
                "left": lambda p, batch: (
                    same.append(batch["target"] is target) or losses["left"](p, batch)
                )
            }

    task = Spy(cheap=cheap)
    state = task.reset(keys_of(1, 2, 3))
    target = state.data["target"]
    for choice in ([0, 0, 0], [0, 1, 0]):
        state, _ = task.update(state, choose(*choice))
    assert same == expected


@pytest.mark.parametrize("cheap", [True, False])
@on_host_or_not
def test_updates_and_observations_under_no_grad_get_the_same_bits(cheap, on_host):
    """Reinforcement learners play their episodes without gradients; the training runs in them need
    their own.
    """
    task = TwoBlocks(cheap=cheap)
    inside, outside = task.reset(keys_of(*range(5))), task.reset(keys_of(*range(5)))
    for choice in [*schedule(10, 5, 3), np.zeros(5, dtype=int)]:
        outside, expected = task.update(outside, choose(*choice, on_host=on_host))
        with torch.no_grad():
            inside, evaluation = task.update(inside, choose(*choice, on_host=on_host))
            observed = task.measure(inside)
        assert torch.equal(evaluation.losses, expected.losses)
        assert torch.equal(observed.gradient_norms, task.measure(outside).gradient_norms)
    before, after = snapshot(task.reset(keys_of(*range(5)))), snapshot(inside)
    assert all(torch.equal(value, after[name]) for name, value in snapshot(outside).items())
    assert not any(torch.equal(after[name], before[name]) for name in before)


# Divergence


@pytest.mark.parametrize("form", ["log", "sqrt"])
@pytest.mark.parametrize("cheap", [True, False])
@on_host_or_not
@each_optimizer
def test_a_loss_or_gradient_that_is_not_finite_stops_its_run_before_the_optimizer(
    form, cheap, on_host, optimizer
):
    task = Fragile(form=form, cheap=cheap, optimizer=optimizer)
    state = task.reset(keys_of(1, 2, 3))
    state.parameters["b"][:2] = 0.0  # the loss is broken in runs 0 and 1; only 0 chooses it
    before = snapshot(state)
    state, evaluation = task.update(state, choose(1, 0, 1, pairs=2, on_host=on_host))
    assert state.diverged.tolist() == [True, False, False]
    assert evaluation.measured.tolist() == [[False, False], [True, False], [False, True]]
    after = snapshot(state)
    for name in before:
        assert torch.equal(after[name][0], before[name][0]), name
        assert torch.isfinite(after[name]).all(), name
    assert not torch.equal(after["parameters a"][1], before["parameters a"][1])
    assert not torch.equal(after["parameters b"][2], before["parameters b"][2])


def test_a_diverged_run_takes_no_further_step_though_its_next_choice_is_sound():
    task = Fragile()
    state = task.reset(keys_of(1, 2))
    for choice in ([1, 0], [1, 0]):
        state, _ = task.update(state, choose(*choice, pairs=2))
    before = snapshot(state)
    state, _ = task.update(state, choose(0, 0, pairs=2))
    after = snapshot(state)
    assert state.diverged.tolist() == [True, False]
    assert all(torch.equal(after[name][0], before[name][0]) for name in before)
    assert not torch.equal(after["parameters a"][1], before["parameters a"][1])


@pytest.mark.parametrize("form", ["log", "sqrt"])
@pytest.mark.parametrize("cheap", [True, False])
@on_host_or_not
def test_a_neighbour_of_a_diverged_run_gets_the_same_bits_as_alone(form, cheap, on_host):
    task = Fragile(form=form, cheap=cheap)
    together, alone = task.reset(keys_of(1, 2)), task.reset(keys_of(2))
    for neighbour, own in (
        (1, 1),
        (1, 0),
        (1, 0),
        (0, 0),
    ):  # its own fragile loss is broken after the first step
        together, _ = task.update(together, choose(neighbour, own, pairs=2, on_host=on_host))
        alone, _ = task.update(alone, choose(own, pairs=2, on_host=on_host))
    assert together.diverged.tolist() == [True, False]
    expected = snapshot(alone)
    assert all(torch.equal(value[1:], expected[name]) for name, value in snapshot(together).items())


# Gradients through updates


def distance(task: TwoBlocks, state: State) -> torch.Tensor:
    return (state.parameters["a"] - state.data["target"]).square().sum(1)


def unrolled(
    task: GradientTask, state: State, step_sizes: torch.Tensor, differentiable: bool = True
) -> State:
    """Three updates: of the first block, of both, and of the first."""
    for step_size, pair in zip(step_sizes, (0, 2, 0), strict=True):
        control = replace(choose(*[pair] * len(state.steps)), step_size=step_size)
        state, _ = task.update(state, control, differentiable=differentiable)
    return state


@pytest.mark.parametrize("cheap", [True, False])
@each_optimizer
def test_the_gradient_of_the_final_loss_by_step_size_is_that_of_finite_differences(
    optimizer, cheap
):
    task = TwoBlocks(optimizer=optimizer, cheap=cheap)
    start = task.reset(keys_of(1, 2))
    step_sizes = torch.tensor([[1.0, 0.5], [2.0, 1.0], [0.5, 1.5]], requires_grad=True)
    (slopes,) = torch.autograd.grad(
        distance(task, unrolled(task, start, step_sizes)).sum(), step_sizes
    )
    assert (slopes.abs() > 1e-3).all()
    for step in range(3):
        shift = torch.zeros(3, 2)
        shift[step] = 0.02
        shifted = ((step_sizes + sign * shift).detach() for sign in (1, -1))
        high, low = (
            distance(task, unrolled(task, tree.clone(start), sizes, False)) for sizes in shifted
        )
        torch.testing.assert_close(slopes[step], (high - low) / 0.04, rtol=0.02, atol=1e-3)


@each_optimizer
def test_a_differentiable_update_gives_the_same_numbers_and_leaves_its_state_alone(optimizer):
    task = TwoBlocks(optimizer=optimizer)
    start = task.update(task.reset(keys_of(1, 2)), choose(2, 0))[0]
    before = tree.clone(start)
    moved, evaluation = task.update(start, choose(0, 2), differentiable=True)
    for name, value in snapshot(before).items():
        assert torch.equal(value, snapshot(start)[name]), name
    assert torch.equal(start.steps, before.steps)
    assert torch.equal(start.diverged, before.diverged)
    plain, expected = task.update(start, choose(0, 2))
    assert all(
        torch.equal(value.detach(), snapshot(plain)[name])
        for name, value in snapshot(moved).items()
    )
    assert torch.equal(evaluation.losses, expected.losses)


def test_a_differentiable_update_that_diverges_leaves_its_state_alone():
    task = Fragile()
    state = task.update(task.reset(keys_of(1, 2)), choose(1, 1, pairs=2))[0]
    moved, _ = task.update(state, choose(1, 0, pairs=2), differentiable=True)
    assert moved.diverged.tolist() == [True, False]
    assert not state.diverged.any()


def test_the_gradient_by_the_weights_of_the_pairs_is_that_of_one_sgd_step_by_hand():
    task = TwoBlocks(optimizer=SGD(learning_rate=0.1))
    state = task.reset(keys_of(1))
    weights = torch.tensor([[1.0, 0.0, 0.0]], requires_grad=True)
    moved, _ = task.update(
        state, Control(weights=weights, step_size=torch.ones(1)), differentiable=True
    )
    (slope,) = torch.autograd.grad(distance(task, moved).sum(), weights)
    offset = (state.parameters["a"] - state.data["target"]).square().sum()
    torch.testing.assert_close(
        slope[0, 0], -2 * 0.2 * (1 - 0.2) * offset
    )  # d/dw (1 - 0.2 w)² |a - target|²


def test_gradients_through_adam_are_finite_where_a_coordinate_has_no_gradient():
    task = TwoBlocks()
    start = task.reset(keys_of(1))
    start.parameters["b"][:, 0] = 0.0  # at the minimum of its loss
    step_sizes = torch.ones(2, 1, requires_grad=True)
    state = start
    for step_size in step_sizes:
        state, _ = task.update(state, replace(choose(1), step_size=step_size), differentiable=True)
    (slopes,) = torch.autograd.grad(state.parameters["b"].sum(), step_sizes)
    assert torch.isfinite(slopes).all()


# Runs and batches


@pytest.mark.parametrize("cheap", [True, False])
@on_host_or_not
@each_optimizer
def test_a_run_alone_gets_the_same_bits_as_in_a_batch(optimizer, cheap, on_host):
    task, runs = TwoBlocks(optimizer=optimizer, cheap=cheap), 6
    choices = schedule(20, runs, 3)
    together = task.reset(keys_of(*range(runs)))
    alone = [task.reset(keys_of(i)) for i in range(runs)]
    for choice in choices:
        together, _ = task.update(together, choose(*choice, on_host=on_host))
        alone = [
            task.update(state, choose(choice[i], on_host=on_host))[0]
            for i, state in enumerate(alone)
        ]
    expected = snapshot(together)
    for i, state in enumerate(alone):
        assert all(
            torch.equal(value[0], expected[name][i]) for name, value in snapshot(state).items()
        )


def test_validation_and_score_of_a_subset_are_those_of_the_whole():
    task = TwoBlocks()
    state, rows = task.reset(keys_of(*range(5))), torch.tensor([3, 0])
    for function in (task.validate, task.score):
        assert torch.equal(function(tree.select(state, rows)), function(state)[rows])
        assert not function(state).requires_grad


@pytest.mark.parametrize("in_dict", [False, True])
def test_a_block_may_hold_one_number_a_run(in_dict):
    class Scalar(TwoBlocks):
        def initial_parameters(self, keys):
            number = random.normal(keys.run)
            return {
                "a": {"number": number, "pair": random.normal(keys.problem, (2,))}
                if in_dict
                else number
            }

        def losses(self):
            return {"left": lambda p, batch: (p["a"]["number"] if in_dict else p["a"]).square()}

        @property
        def pairs(self):
            return super().pairs[:1]

    task = Scalar(optimizer=SGD(learning_rate=0.25))
    state, _ = task.update(task.reset(keys_of(1, 2)), choose(0, 0, pairs=1))
    torch.testing.assert_close(state.parameters["a"][:, 0], random.normal(keys_of(1, 2).run) / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validate_every": 0}, "validate_every=0: expected an integer of at least 1"),
        ({"max_steps": 13}, "max_steps=13: expected a positive multiple of validate_every=3"),
        ({"max_steps": 0}, "max_steps=0: expected an integer of at least 1"),
        ({"patience": -1}, "patience=-1: expected an integer of at least 0"),
    ],
)
def test_steps_that_do_not_fit_together_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TwoBlocks(**arguments)


def test_tasks_of_equal_arguments_are_equal_and_hash_alike():
    assert TwoBlocks(cheap=False) == TwoBlocks(cheap=False) != TwoBlocks()
    assert hash(SMALL) == hash(replace(SMALL))
    assert math.isfinite(hash(SMALL))


# Clipping


def stepped(clip_norm: float, control: Control, runs: int = 2) -> tuple[State, State]:
    """Runs before and after a step of plain gradient descent at the learning rate 1."""
    task = TwoBlocks(optimizer=SGD(learning_rate=1.0), clip_norm=clip_norm, cheap=False)
    state = task.reset(keys_of(*range(runs)))
    before = tree.clone(state)
    after, _ = task.update(state, control)
    return before, after


def moved(before: State, after: State) -> torch.Tensor:
    """What each run has moved by, over all blocks, (runs, numbers)."""
    parts = [after.parameters[name] - before.parameters[name] for name in before.parameters]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("weighted", [False, True])
def test_no_step_is_longer_than_the_clip_norm_over_all_blocks_together(weighted):
    control = choose(2, 2)
    if weighted:
        control = Control(weights=torch.tensor([[0.5, 1.0, 1.0]] * 2), step_size=torch.ones(2))
    whole = moved(*stepped(0.0, control))
    lengths = whole.norm(dim=1)
    clip_norm = float(lengths.mean())
    assert (lengths > clip_norm).sum() == 1  # one run is clipped, the other is not
    factor = (clip_norm / lengths).clamp(max=1.0)
    torch.testing.assert_close(moved(*stepped(clip_norm, control)), whole * factor[:, None])


def test_runs_that_chose_different_pairs_are_clipped_as_if_they_were_alone():
    task = TwoBlocks(optimizer=SGD(learning_rate=1.0), clip_norm=0.1, cheap=False)
    together = task.reset(keys_of(0, 1, 2))
    task.update(together, choose(0, 2, 1))
    for run, pair in enumerate((0, 2, 1)):
        alone = task.reset(keys_of(run))
        task.update(alone, choose(pair))
        for name, block in alone.parameters.items():
            assert torch.equal(together.parameters[name][run : run + 1], block)


@dataclass(frozen=True, kw_only=True)
class Swapping(TwoBlocks):
    """both: a · c, whose gradient by each block is the other block itself."""

    pairs = (Pair("both", ("a", "c")),)

    def initial_parameters(self, keys):
        names = ("a", "c")
        return {n: random.normal(random.fold_in(keys.run, n), (3,)) for n in names}

    def losses(self):
        def product(parameters, batch):
            return (parameters["a"] * parameters["c"]).sum(dim=1)

        def value_and_gradient(parameters, batch):
            return product(parameters, batch), {"a": parameters["c"], "c": parameters["a"]}

        return {"both": ClosedForm(product, value_and_gradient)}


def test_a_closed_form_may_give_blocks_of_the_parameters_as_gradients():
    task = Swapping(optimizer=SGD(learning_rate=0.5))
    together = task.reset(keys_of(0, 1))
    before = tree.clone(together.parameters)
    alone = task.reset(keys_of(0))
    task.update(together, choose(0, 0, pairs=1))
    task.update(alone, choose(0, pairs=1))
    for name, other in (("a", "c"), ("c", "a")):
        expected = before[name] - 0.5 * before[other]
        assert torch.equal(together.parameters[name], expected)
        assert torch.equal(alone.parameters[name], expected[:1])
