import math

import pytest
import torch

from autoloss_gym.optimizers import SGD, Adam

OPTIMIZERS = {
    "adam": (Adam(learning_rate=0.05), lambda p: torch.optim.Adam(p, lr=0.05)),
    "adam_other": (
        Adam(learning_rate=0.01, betas=(0.5, 0.9), epsilon=1e-3),
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.5, 0.9), eps=1e-3),
    ),
    "sgd": (SGD(learning_rate=0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum": (SGD(learning_rate=0.1, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
}
RUNS, SIZE, STEPS = 5, 7, 60
each_optimizer = pytest.mark.parametrize(("ours", "theirs"), OPTIMIZERS.values(), ids=OPTIMIZERS.keys())


def problem(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Parameters (RUNS, SIZE), gradients (STEPS, RUNS, SIZE) of very different sizes, and who is active when."""
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
        torch.testing.assert_close(parameters, torch.stack(references).detach(), rtol=1e-5, atol=1e-5)
    assert state["steps"].tolist() == active.sum(dim=0).tolist()


@each_optimizer
def test_an_idle_run_keeps_every_bit_whatever_its_gradient(ours, theirs):
    parameters, gradients, active = problem()
    state = ours.init(parameters)
    for step in range(STEPS):
        before = {"parameters": parameters.clone()} | {name: value.clone() for name, value in state.items()}
        ours.update(parameters, gradients[step], state, active[step], torch.ones(RUNS))
        idle = ~active[step]
        for name, value in before.items():
            after = parameters if name == "parameters" else state[name]
            assert torch.equal(after[idle], value[idle]), name
            assert not torch.equal(after[active[step]], value[active[step]]), name


def test_a_run_that_has_never_moved_stays_where_it_is_without_an_epsilon_too():
    parameters, adam = torch.ones(2, 1), Adam(learning_rate=0.1, epsilon=0.0)
    adam.update(parameters, torch.ones(2, 1), adam.init(parameters), torch.tensor([True, False]), torch.ones(2))
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
            ours.update(alone[i], gradients[step, one], states[i], active[step, one], step_size[one])
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
        sgd.update(parameters, torch.tensor([[gradient]]), state, torch.tensor([True]), torch.ones(1))
    torch.testing.assert_close(parameters, torch.tensor([[0.3]]))


@each_optimizer
def test_gradients_flow_to_step_size_through_an_update_of_clones(ours, theirs):
    parameters, gradients, active = problem()
    step_size = torch.ones(RUNS, requires_grad=True)
    moved = parameters.clone()
    ours.update(moved, gradients[0], ours.init(moved), active[0], step_size)
    (slope,) = torch.autograd.grad(moved.sum(), step_size)
    # The first step of every optimizer here is proportional to the step size.
    torch.testing.assert_close(slope, (moved.detach() - parameters).sum(dim=1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("learning_rate", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_a_learning_rate_that_is_not_positive_and_finite_is_refused(optimizer, learning_rate):
    with pytest.raises(ValueError, match=r"learning_rate=.*expected a positive finite number"):
        optimizer(learning_rate=learning_rate)
