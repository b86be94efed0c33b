import math

import numpy as np
import pytest
import torch

from autoloss_gym.optimizers import SGD, Adam, BarzilaiBorwein


class BarzilaiBorweinLoop:
    """One run by hand in NumPy, with the interface of PyTorch's optimizers; `lr` over its first
    value scales every step.
    """

    def __init__(self, parameters, form, lr, lower, upper):
        (self.parameter,), self.form, self.first, self.bounds = parameters, form, lr, (lower, upper)
        self.param_groups, self.previous = [{"lr": lr}], None

    def step(self):
        point, gradient = (
            tensor.detach().numpy().copy() for tensor in (self.parameter, self.parameter.grad)
        )
        step = self.first
        if self.previous is not None and not np.array_equal(point, self.previous[0]):
            moved, changed = (
                (now - before).astype(float)
                for now, before in zip((point, gradient), self.previous, strict=True)
            )
            if self.form == "long":
                step = np.dot(moved, moved) / abs(np.dot(moved, changed))
            else:
                step = abs(np.dot(moved, changed)) / np.dot(changed, changed)
            step = min(max(step, self.bounds[0]), self.bounds[1])
        self.previous = point, gradient
        self.parameter.data -= torch.from_numpy(
            gradient * np.float32(step * self.param_groups[0]["lr"] / self.first)
        )


OPTIMIZERS = {
    "adam": (Adam(learning_rate=0.05), lambda p: torch.optim.Adam(p, lr=0.05)),
    "adam_other": (
        Adam(learning_rate=0.01, betas=(0.5, 0.9), epsilon=1e-3),
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.5, 0.9), eps=1e-3),
    ),
    "sgd": (SGD(learning_rate=0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum": (
        SGD(learning_rate=0.1, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    ),
    "barzilai_borwein_1": (
        BarzilaiBorwein(learning_rate=0.01, form="long", lower=1e-3, upper=1.0),
        lambda p: BarzilaiBorweinLoop(p, "long", 0.01, 1e-3, 1.0),
    ),
    "barzilai_borwein_2": (
        BarzilaiBorwein(learning_rate=0.01, form="short", lower=1e-4, upper=1e-2),
        lambda p: BarzilaiBorweinLoop(p, "short", 0.01, 1e-4, 1e-2),
    ),
}
RUNS, SIZE, STEPS = 5, 7, 60
each_optimizer = pytest.mark.parametrize(
    ("ours", "theirs"), OPTIMIZERS.values(), ids=OPTIMIZERS.keys()
)


def problem(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Parameters (RUNS, SIZE), gradients (STEPS, RUNS, SIZE) of very different sizes, and who is
    active when.
    """
    generator = torch.Generator().manual_seed(seed)
    parameters = torch.randn(RUNS, SIZE, generator=generator)
    gradients = torch.randn(STEPS, RUNS, SIZE, generator=generator) * torch.logspace(-3, 2, SIZE)
    return parameters, gradients, torch.rand(STEPS, RUNS, generator=generator) < 0.6


@each_optimizer
def test_every_run_follows_torch_with_its_own_idle_steps(ours, theirs):
    parameters, gradients, active = problem()
    references = [parameters[i].clone().requires_grad_() for i in range(RUNS)]
    optimizers = [theirs([reference]) for reference in references]
    state = ours.init(parameters)
    for step in range(STEPS):
        ours.update(parameters, gradients[step], state, active[step], torch.ones(RUNS))
        for i in range(RUNS):
            if active[step, i]:
                references[i].grad = gradients[step, i].clone()
                optimizers[i].step()
        torch.testing.assert_close(
            parameters, torch.stack(references).detach(), rtol=1e-5, atol=1e-5
        )
    assert state["steps"].tolist() == active.sum(dim=0).tolist()


@each_optimizer
def test_an_idle_run_keeps_every_bit_whatever_its_gradient(ours, theirs):
    parameters, gradients, active = problem()
    state = ours.init(parameters)
    for step in range(STEPS):
        before = {"parameters": parameters.clone()} | {
            name: value.clone() for name, value in state.items()
        }
        ours.update(parameters, gradients[step], state, active[step], torch.ones(RUNS))
        idle = ~active[step]
        for name, value in before.items():
            after = parameters if name == "parameters" else state[name]
            assert torch.equal(after[idle], value[idle]), name
            assert not torch.equal(after[active[step]], value[active[step]]), name


def test_a_run_that_has_never_moved_stays_where_it_is_without_an_epsilon_too():
    parameters, adam = torch.ones(2, 1), Adam(learning_rate=0.1, epsilon=0.0)
    adam.update(
        parameters,
        torch.ones(2, 1),
        adam.init(parameters),
        torch.tensor([True, False]),
        torch.ones(2),
    )
    torch.testing.assert_close(parameters, torch.tensor([[0.9], [1.0]]))


@each_optimizer
def test_a_run_alone_gets_the_same_bits_as_in_a_batch(ours, theirs):
    parameters, gradients, active = problem()
    alone = [parameters[i : i + 1].clone() for i in range(RUNS)]
    state, states = ours.init(parameters), [ours.init(each) for each in alone]
    step_size = torch.linspace(0.5, 2.0, RUNS)
    for step in range(STEPS):
        ours.update(parameters, gradients[step], state, active[step], step_size)
        for i in range(RUNS):
            one = slice(i, i + 1)
            ours.update(
                alone[i], gradients[step, one], states[i], active[step, one], step_size[one]
            )
    assert torch.equal(parameters, torch.cat(alone))


@each_optimizer
def test_step_size_is_a_factor_on_the_learning_rate_of_each_run(ours, theirs):
    parameters, gradients, _ = problem()
    factors = torch.tensor([0.0, 0.5, 1.0, 2.0, 10.0])
    references = [parameters[i].clone().requires_grad_() for i in range(RUNS)]
    optimizers = [theirs([reference]) for reference in references]
    for optimizer, factor in zip(optimizers, factors.tolist(), strict=True):
        optimizer.param_groups[0]["lr"] *= factor
    state = ours.init(parameters)
    for step in range(10):
        ours.update(parameters, gradients[step], state, torch.ones(RUNS, dtype=torch.bool), factors)
        for i in range(RUNS):
            references[i].grad = gradients[step, i].clone()
            optimizers[i].step()
    torch.testing.assert_close(parameters, torch.stack(references).detach(), rtol=1e-5, atol=1e-5)


def test_the_first_step_of_adam_is_the_learning_rate_in_every_direction():
    parameters, gradients = torch.zeros(1, 3), torch.tensor([[1e-4, -1.0, 1e4]])
    adam = Adam(learning_rate=0.05)
    adam.update(parameters, gradients, adam.init(parameters), torch.tensor([True]), torch.ones(1))
    expected = [-0.05 * 1e-4 / (1e-4 + 1e-8), 0.05 / (1 + 1e-8), -0.05]
    torch.testing.assert_close(parameters, torch.tensor([expected]), rtol=1e-6, atol=0)


def test_two_steps_of_momentum_by_hand():
    parameters, sgd = torch.tensor([[1.0]]), SGD(learning_rate=0.1, momentum=0.5)
    state = sgd.init(parameters)
    for gradient in (2.0, 4.0):  # v = 2, then 0.5 · 2 + 4 = 5; 1 - 0.2 - 0.5
        sgd.update(
            parameters, torch.tensor([[gradient]]), state, torch.tensor([True]), torch.ones(1)
        )
    torch.testing.assert_close(parameters, torch.tensor([[0.3]]))


@each_optimizer
def test_gradients_flow_to_step_size_through_an_update_of_clones(ours, theirs):
    parameters, gradients, active = problem()
    step_size = torch.ones(RUNS, requires_grad=True)
    moved = parameters.clone()
    ours.update(moved, gradients[0], ours.init(moved), active[0], step_size)
    (slope,) = torch.autograd.grad(moved.sum(), step_size)
    # The first step of every optimizer here is proportional to the step size.
    torch.testing.assert_close(
        slope, (moved.detach() - parameters).sum(dim=1), rtol=1e-4, atol=1e-4
    )


def barzilai_borwein_steps(optimizer, points, gradients):
    """Steps of a run that is put at each of the points in turn and meets these gradients,
    (len(points),).
    """
    state, steps = optimizer.init(torch.tensor(points[:1])), []
    for point, gradient in zip(points, gradients, strict=True):
        at = torch.tensor([point])
        optimizer.update(at, torch.tensor([gradient]), state, torch.tensor([True]), torch.ones(1))
        steps.append(((point[0] - at[0, 0]) / gradient[0]).item())
    return steps


@pytest.mark.parametrize(
    ("form", "lower", "upper", "second"),
    [  # Δx = (1, 2), Δh = (3, 4): 5 / 11 and 11 / 25
        ("long", 1e-4, 10.0, 5 / 11),
        ("short", 1e-4, 10.0, 11 / 25),
        ("long", 1e-4, 0.25, 0.25),
        ("short", 0.5, 10.0, 0.5),
    ],
)
def test_barzilai_borwein_steps_by_hand(form, lower, upper, second):
    optimizer = BarzilaiBorwein(learning_rate=0.125, form=form, lower=lower, upper=upper)
    assert barzilai_borwein_steps(
        optimizer, [(0.0, 0.0), (1.0, 2.0)], [(1.0, 1.0), (4.0, 5.0)]
    ) == pytest.approx([0.125, second])
    falling = [(1.0, 1.0), (-2.0, -3.0)]  # Δx·Δh = -11: the step stays positive
    assert barzilai_borwein_steps(optimizer, [(0.0, 0.0), (1.0, 2.0)], falling) == pytest.approx(
        [0.125, second]
    )


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize(
    ("moved", "changed", "long", "short"),
    [
        ((0.0, 0.0), (0.0, 0.0), 0.125, 0.125),  # nothing is known
        ((0.0, 0.0), (1.0, 0.0), 0.125, 0.125),
        ((1.0, 0.0), (0.0, 0.0), 10.0, 10.0),  # no curvature
        ((1.0, 0.0), (0.0, 1.0), 10.0, 0.01),  # none along the step
        ((1.0, 0.0), (1.0, 0.0), 1.0, 1.0),
    ],
)
def test_barzilai_borwein_steps_are_finite_where_a_denominator_is_zero_or_a_square_leaves_float32(
    moved, changed, long, short, scale
):
    gradients = [(scale, scale), tuple(scale + scale * each for each in changed)]
    for form, expected in (("long", long), ("short", short)):
        optimizer = BarzilaiBorwein(learning_rate=0.125, form=form, lower=0.01, upper=10.0)
        points = [(0.0, 0.0), tuple(scale * each for each in moved)]
        assert barzilai_borwein_steps(optimizer, points, gradients)[1] == pytest.approx(
            expected, rel=1e-5
        )


@pytest.mark.parametrize("form", ["long", "short"])
def test_barzilai_borwein_reaches_the_minimum_of_a_line_in_its_second_step(form):
    """Of 3 x² from 2 with step 0.1: to 0.8, where the curvature 6 is known."""
    x, optimizer = torch.tensor([[2.0]]), BarzilaiBorwein(learning_rate=0.1, form=form, upper=1.0)
    state = optimizer.init(x)
    for expected in (0.8, 0.0):
        optimizer.update(x, 6 * x, state, torch.tensor([True]), torch.ones(1))
        assert x.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("form", ["long", "short"])
def test_gradients_flow_through_barzilai_borwein_steps_as_finite_differences_say(form):
    """Two steps of a quadratic: the second depends on where the first, of this size, led."""
    curvatures = torch.tensor([[1.0, 3.0]], dtype=torch.float64)
    optimizer = BarzilaiBorwein(learning_rate=0.1, form=form, lower=1e-4, upper=10.0)

    def end(step_size):
        x = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
        state = optimizer.init(x)
        for _ in range(3):
            x, state = x.clone(), {name: value.clone() for name, value in state.items()}
            optimizer.update(x, curvatures * x, state, torch.tensor([True]), step_size)
        return x

    assert torch.autograd.gradcheck(end, torch.ones(1, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"form": "short_"}, "form='short_': expected 'long' or 'short'"),
        ({"lower": 0.0}, r"lower=0.0: expected a positive finite number"),
        ({"lower": 1.0}, r"lower=1.0, upper=0.1: expected numbers in this order"),
        ({"upper": math.inf}, r"upper=inf: expected a positive finite"),
    ],
)
@pytest.mark.usefixtures("as_users_have_it")
def test_a_bad_form_or_bound_of_barzilai_borwein_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BarzilaiBorwein(**{"learning_rate": 0.1} | arguments)


@pytest.mark.parametrize("learning_rate", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("optimizer", [SGD, Adam, BarzilaiBorwein])
def test_a_learning_rate_that_is_not_positive_and_finite_is_refused(optimizer, learning_rate):
    with pytest.raises(ValueError, match=r"learning_rate=.*expected a positive finite number"):
        optimizer(learning_rate=learning_rate)


def test_adam_moves_a_large_block_in_pieces_to_the_same_bits():
    optimizer = Adam(learning_rate=0.05)
    size = 150_000
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(3, size, generator=generator)
    before = parameters.clone()
    state = optimizer.init(parameters)
    small = [slice(first, first + 10_000) for first in range(0, size, 10_000)]
    pieces = [parameters[:, columns].clone() for columns in small]
    states = [optimizer.init(piece) for piece in pieces]
    active = torch.tensor([True, False, True])
    for _ in range(3):
        gradients = torch.randn(3, size, generator=generator)
        optimizer.update(parameters, gradients, state, active, torch.ones(3))
        for columns, piece, own in zip(small, pieces, states, strict=True):
            optimizer.update(piece, gradients[:, columns], own, active, torch.ones(3))
    assert torch.equal(parameters, torch.cat(pieces, dim=1))
    assert torch.equal(parameters[1], before[1])
    assert not torch.equal(parameters[0], before[0])


@pytest.mark.parametrize("idle", [False, True])
def test_adam_moves_many_runs_in_pieces_to_the_same_bits_whether_some_are_idle_or_none(idle):
    optimizer = Adam(learning_rate=0.05)
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(7, 50_000, generator=generator)
    state = optimizer.init(parameters)
    alone = [parameters[run : run + 1].clone() for run in range(7)]
    states = [optimizer.init(run) for run in alone]
    active = torch.tensor([True] * 5 + [not idle, True])
    for step in range(3):
        moving = active if step else torch.ones(7, dtype=torch.bool)
        gradients = torch.randn(7, 50_000, generator=generator)
        optimizer.update(parameters, gradients, state, moving, torch.ones(7))
        for run, (own, moments) in enumerate(zip(alone, states, strict=True)):
            given = gradients[run : run + 1], moments, moving[run : run + 1], torch.ones(1)
            optimizer.update(own, *given)
    assert torch.equal(parameters, torch.cat(alone))
