"""A task from an `nn.Module` trains as the plain PyTorch loop of its author does."""

import copy
import dataclasses
import functools
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import autoloss_gym
from autoloss_gym import AutoLossVectorEnv, Control, Keys, Metric, from_module, random
from autoloss_gym.core.modules.draws import keyed
from autoloss_gym.core.modules.template import seeded
from autoloss_gym.tools import tree
from benchmarks import module_cases

STEPS = 20
NUM_ENVS = 4


@pytest.fixture(scope="module")
def data():
    parts = tree.map_tensors(lambda leaf: leaf[:240], module_cases.digits())
    return {
        name: tree.map_tensors(lambda leaf, first=first: leaf[first::3], parts)
        for first, name in enumerate(("train", "validation", "test"))
    }


def keys_of(num_envs=NUM_ENVS):
    problem = random.fold_in(torch.arange(num_envs), "test")
    return Keys(problem=problem, run=random.fold_in(problem, "run"))


def one_hot(task, choice):
    weights = torch.nn.functional.one_hot(torch.tensor(choice), len(task.pairs)).float()
    return Control(weights=weights, step_size=torch.ones(len(choice)), choice=np.array(choice))


def played(task, num_envs=NUM_ENVS, steps=STEPS):
    """States, and losses of the last step; the runs choose different pairs."""
    state = task.reset(keys_of(num_envs))
    for step in range(steps):
        choice = [(row + step) % len(task.pairs) for row in range(num_envs)]
        state, evaluation = task.update(state, one_hot(task, choice))
    return state, evaluation


def plain_loop(task, row, optimizer):
    """One run as its author would write it, with the batches and draws of run `row`."""
    keys = keys_of()
    with seeded(int(keys.run[row])):
        model = task.factory()
    named = dict(model.named_parameters())
    optimizers = {block: optimizer([named[name] for name in names]) for block, names in task.blocks}
    losses, gradients = [], []
    for step in range(STEPS):
        key = random.fold_in(keys.run[row : row + 1], step)
        batch = tree.map_tensors(lambda leaf: leaf[0], task.batch({}, key)["part"])
        pair = task.pairs[(row + step) % len(task.pairs)]
        model.zero_grad()
        with keyed(key[0]):
            loss = dict(task.functions)[pair.loss](model, batch)
        loss.backward()
        grads = [named[name].grad for block in pair.blocks for name in dict(task.blocks)[block]]
        size = sum(grad.numel() for grad in grads)
        gradients.append((sum(grad.square().sum() for grad in grads) / size).sqrt())
        for block in pair.blocks:
            optimizers[block].step()
        losses.append(loss.detach())
    return model, torch.stack(losses), torch.stack(gradients)


OPTIMIZERS = {
    # Adam divides by roots of squares: it magnifies the rounding of gradients that are nearly 0.
    "sgd": functools.partial(torch.optim.SGD, lr=0.05, momentum=0.9),
    "adam": functools.partial(torch.optim.Adam, lr=1e-3, eps=1e-3),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("vectorize", [True, False])
@pytest.mark.parametrize("case", module_cases.CASES)
def test_losses_gradients_and_steps_are_those_of_a_plain_loop(case, vectorize, optimizer, data):
    chosen = OPTIMIZERS[optimizer]
    task = module_cases.CASES[case](data, optimizer=chosen, vectorize=vectorize)
    state = task.reset(keys_of())
    losses, norms = [], []
    for step in range(STEPS):
        choice = [(row + step) % 2 for row in range(NUM_ENVS)]
        state, evaluation = task.update(state, one_hot(task, choice))
        losses.append(evaluation.losses[range(NUM_ENVS), choice])
        norms.append(evaluation.gradient_norms[range(NUM_ENVS), choice])
    for row in (0, 3):
        model, plain_losses, plain_norms = plain_loop(task, row, chosen)
        close = functools.partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)
        close(torch.stack(losses)[:, row], plain_losses)
        close(torch.stack(norms)[:, row], plain_norms)
        for block in task.unpack(state.parameters).values():
            for name, values in block.items():
                close(values[row], dict(model.named_parameters())[name].detach())
        for name, values in model.named_buffers():
            close(state.buffers[name][row], values)


@pytest.mark.parametrize("case", module_cases.CASES)
def test_a_users_part_has_at_most_twenty_lines(case):
    assert module_cases.users_lines(module_cases.CASES[case]) <= module_cases.MOST_LINES


@pytest.mark.parametrize("case", module_cases.CASES)
def test_the_checker_is_content(case, data):
    autoloss_gym.check_task(module_cases.CASES[case](data))


DRAWING = {
    "CNN": functools.partial(module_cases.convolutions, dropout=0.5),
    "transformer": functools.partial(module_cases.transformer, dropout=0.5),
    "GAN": module_cases.gan,
}


@pytest.mark.parametrize("case", DRAWING)
def test_a_run_draws_the_same_whatever_the_batch_is_and_however_it_is_computed(case, data):
    task = DRAWING[case](data, optimizer="sgd", learning_rate=0.05)
    assert task.drawing
    apart = dataclasses.replace(task, vectorize=False)
    together = played(task, 5, 5)[0]
    looped = played(apart, 5, 5)[0]
    alone = played(apart, 3, 5)[0]
    for block, values in together.parameters.items():
        torch.testing.assert_close(values, looped.parameters[block], rtol=1e-4, atol=1e-5)
        assert torch.equal(looped.parameters[block][:3], alone.parameters[block])


def test_equal_runs_repeat_bit_for_bit(data):
    task = module_cases.convolutions(data)
    first, second = played(task, 4, 5)[0], played(copy.copy(task), 4, 5)[0]
    assert all(map(torch.equal, tree.leaves(first), tree.leaves(second)))


def test_dropout_keeps_the_share_and_the_mean_that_it_should():
    with keyed(torch.tensor(7)):
        dropped = functional.dropout(torch.ones(40_000), 0.3)
        channels = functional.dropout2d(torch.ones(200, 50, 2, 2), 0.3)
    assert abs((dropped == 0).float().mean() - 0.3) < 0.01
    assert abs(dropped.mean() - 1) < 0.02
    assert torch.equal(channels[..., 0, 0], channels[..., 1, 1])
    assert abs((channels == 0).float().mean() - 0.3) < 0.02


def test_pytorchs_own_generator_and_functions_are_as_before(data):
    originals = torch.randn, functional.dropout, torch.get_rng_state()
    played(module_cases.gan(data))
    assert torch.randn is originals[0]
    assert functional.dropout is originals[1]
    assert torch.equal(torch.get_rng_state(), originals[2])


def test_only_runs_that_a_loss_updates_take_its_buffers(data):
    task = module_cases.convolutions(data)
    state = task.reset(keys_of())
    before = tree.clone(state.buffers)
    task.measure(state)
    assert all(torch.equal(state.buffers[name], before[name]) for name in before)
    control = one_hot(task, [0, 1, 0, 1])
    control.weights[2] = 0.0
    control.choice = None
    state.parameters["module"][3] = torch.nan
    state, _ = task.update(state, control)
    counts = state.buffers["body.1.num_batches_tracked"]
    assert counts.tolist() == [1, 1, 0, 0]  # the third rests, the fourth has diverged


def test_the_score_at_the_best_validation_uses_the_buffers_of_that_moment(data):
    calls = []

    def rising(model, part):
        calls.append(None)
        return model.body[1].num_batches_tracked.float()

    task = from_module(
        module_cases.Convolutions,
        losses={"fit": lambda model, batch: model(batch["pixels"]).square().mean()},
        validation=rising,  # best at its first value
        test={Metric("tracked", worst=99.0): rising},
        data=data,
        max_steps=4,
        validate_every=2,
    )
    envs = AutoLossVectorEnv(task, 3)
    envs.reset(seed=0)
    for _ in range(4):
        *_, infos = envs.step(np.zeros(3, dtype=np.int64))
    assert infos["final_info"]["score"].tolist() == [4.0] * 3
    assert infos["final_info"]["best_score"].tolist() == [0.0] * 3


def test_losses_see_the_training_mode_and_figures_the_other(data):
    modes = set()

    def loss(model, batch):
        modes.add(("loss", model.training))
        model.eval()  # what a careless function leaves behind
        return model(batch["pixels"]).square().mean()

    def figure(model, part):
        modes.add(("figure", model.training))
        model.train()
        return model(part["pixels"]).square().mean()

    task = from_module(module_cases.Convolutions, {"a": loss}, validation=figure, data=data)
    state = task.reset(keys_of())
    for _ in range(2):
        task.measure(state)
        task.validate(state)
    assert modes == {("loss", True), ("figure", False)}


def test_runs_start_from_modules_of_their_own_and_equal_keys_from_the_same(data):
    task = module_cases.two_heads(data)
    first = task.reset(keys_of(3)).parameters["trunk"]
    assert not torch.equal(first[0], first[1])
    assert torch.equal(task.reset(keys_of(5)).parameters["trunk"][:3], first)


def test_the_data_that_runs_share_are_not_in_the_state(data):
    state = module_cases.two_heads(data).reset(keys_of())
    assert sum(leaf.numel() for leaf in tree.leaves(state.data)) == NUM_ENVS


def line(generator):
    slope = torch.randn(1, generator=generator)
    x = torch.randn(20, 1, generator=generator)
    return {"x": x, "y": slope * x}


def fit(model, batch):
    return functional.mse_loss(model(batch["x"]), batch["y"])


def size(model, batch):
    return model.weight.abs().sum()


@pytest.mark.parametrize("batch_size", [None, 4])
def test_a_function_of_a_generator_makes_a_problem_for_each_key(batch_size):
    task = from_module(
        lambda: nn.Linear(1, 1), {"fit": fit, "size": size}, validation=fit, data=line,
        batch_size=batch_size,
    )  # fmt: skip
    autoloss_gym.check_task(task)
    problems = task.reset(keys_of()).data["train"]["x"]
    assert problems.shape == (NUM_ENVS, 12, 1)
    assert not torch.equal(problems[0], problems[1])
    assert torch.equal(task.reset(keys_of(2)).data["train"]["x"], problems[:2])
    assert task.full_batch == (batch_size is None)
    assert "60 %" in task.remarks("train")[0]


def test_rows_of_a_batch_belong_together_and_small_tensors_are_taken_whole():
    x = torch.arange(30.0)[:, None]
    part = {"x": x, "y": 2 * x, "ends": torch.zeros(2, 1), "scale": torch.tensor(3.0)}
    task = from_module(
        lambda: nn.Linear(1, 1), {"fit": fit}, validation=fit, batch_size=4,
        data={"train": part, "validation": part, "test": part},
    )  # fmt: skip
    batch = task.batch({}, random.fold_in(keys_of(3).run, 0))["part"]
    assert batch["x"].shape == (3, 4, 1)
    assert torch.equal(batch["y"], 2 * batch["x"])
    assert batch["ends"].shape == (3, 2, 1)
    assert batch["scale"].tolist() == [3.0] * 3
    assert len({tuple(rows) for rows in batch["x"].flatten(1).tolist()}) == 3


def test_a_data_set_and_arrays_are_read_as_tensors():
    arrays = np.random.default_rng(0).normal(size=(9, 2))
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(arrays).float())
    for given in (arrays, dataset):
        task = from_module(
            lambda: nn.Linear(2, 1),
            {"a": lambda model, x: model(x[0] if isinstance(x, list) else x).square().mean()},
            validation=lambda model, x: model.weight.sum(),
            data=given,
        )
        part = task.source.example["train"]
        assert (part[0] if isinstance(part, list) else part).dtype == torch.float32


def test_a_difference_by_the_inputs_may_be_part_of_losses_and_figures():
    """As PyTorch users write it, in a loop, and with `torch.func`, lifted: the same numbers."""
    x = torch.linspace(0, 1, 12)[:, None]

    def slope_by_autograd(model, x):
        x.requires_grad_()
        return torch.autograd.grad(model(x).sum(), x, create_graph=True)[0]

    def slope_by_func(model, x):
        return torch.func.vmap(torch.func.grad(lambda one: model(one).sum()))(x)

    values = []
    for slope in (slope_by_autograd, slope_by_func):

        def residual(model, batch, slope=slope):
            return (slope(model, batch) - 1).square().mean()

        task = from_module(
            lambda: nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)),
            losses={
                "residual": residual,
                "start": lambda model, x: model(x[:1] * 0).square().sum(),
            },
            validation=residual,
            data=x,
        )
        state = task.reset(keys_of())
        if slope is slope_by_autograd:
            with pytest.warns(UserWarning, match="loss 'residual' is computed for one run after"):
                task.measure(state)
            with pytest.warns(UserWarning, match="validation 'residual' is computed for one run"):
                task.validate(state)
        values.append((task.measure(state).losses, task.validate(state), task.gradients(state)))
        assert not task.source.example["train"].requires_grad
    torch.testing.assert_close(*values)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, x):
        return self.second(x) if self.first.weight.sum() > 0 else self.first(x)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.head = nn.GRU(1, 4, num_layers=2, dropout=0.5), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.cells(x)[0])


@pytest.mark.parametrize("module", [Branching, Recurrent])
def test_what_cannot_be_lifted_runs_in_a_loop_and_says_so_once(module):
    """Control flow that depends on numbers, and random numbers within an operation."""
    task = from_module(module, {"fit": fit}, blocks={"all": "*"}, validation=size_of_all, data=line)
    with pytest.warns(UserWarning, match="torch.func.vmap cannot lift it") as told:
        state, _ = played(task, 3, 4)
    assert len([each for each in told if "cannot lift" in str(each.message)]) == 1
    apart = played(dataclasses.replace(task, vectorize=False), 4, 4)[0]
    assert torch.equal(state.parameters["all"], apart.parameters["all"][:3])


def size_of_all(model, part):
    return sum(parameter.square().sum() for parameter in model.parameters())


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(3, 3), nn.Linear(3, 3)
        self.decoder.weight = self.encoder.weight
        self.scale = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, x):
        return self.decoder(torch.tanh(self.encoder(x))) * self.scale


def test_shared_parameters_are_one_and_frozen_ones_stay():
    x = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    task = from_module(
        Tied, {"fit": lambda model, x: (model(x) - x).square().mean()},
        blocks={"in": "encoder", "out": "decoder.bias"}, validation=size_of_all, data=x,
        optimizer="sgd", learning_rate=0.1,
    )  # fmt: skip
    autoloss_gym.check_task(task)
    plain = played(task)[0]
    assert torch.equal(plain.buffers["scale"], torch.ones(NUM_ENVS, 1))
    with seeded(int(keys_of().run[0])):
        model = Tied()
    optimizer = torch.optim.SGD([each for each in model.parameters() if each.requires_grad], lr=0.1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (
            model(task.source.example["train"]) - task.source.example["train"]
        ).square().mean().backward()
        optimizer.step()
    torch.testing.assert_close(
        task.unpack(plain.parameters)["in"]["encoder.weight"][0], model.decoder.weight.detach()
    )


def test_blocks_that_the_same_losses_update_are_one(data):
    assert [name for name, _ in module_cases.two_heads(data).blocks] == ["trunk", "digit", "odd"]
    assert [name for name, _ in module_cases.convolutions(data).blocks] == ["module"]
    pairs = {pair.loss: pair.blocks for pair in module_cases.two_heads(data).pairs}
    assert pairs == {"digit": ("trunk", "digit"), "odd": ("trunk", "odd")}


def test_a_task_of_functions_with_names_can_be_sent_to_another_process():
    task = from_module(
        functools.partial(nn.Linear, 1, 1), {"fit": fit, "size": size}, validation=fit, data=line
    )
    played(task)
    sent = pickle.loads(pickle.dumps(task))
    assert torch.equal(played(task)[0].parameters["own"], played(sent)[0].parameters["own"])


def test_a_failed_run_is_worth_ten_times_an_untrained_one_unless_something_else_is_said():
    def untrained(model, part):
        return model.weight.sum() * 0 + 0.034

    up = Metric("up", minimize=False)
    task = from_module(
        lambda: nn.Linear(1, 1), {"fit": fit}, validation=fit, data=line,
        test={"down": untrained, up: untrained, Metric("own", worst=7.0): untrained},
    )  # fmt: skip
    assert [metric.worst for metric in task.score_metrics] == pytest.approx([0.4, 0.0, 7.0])


def test_a_differentiable_update_keeps_the_graph_and_leaves_the_state(data):
    task = module_cases.convolutions(data)
    state = task.reset(keys_of())
    before = tree.clone(state)
    control = one_hot(task, [0, 1, 0, 1])
    control = Control(weights=control.weights.requires_grad_(), step_size=torch.ones(NUM_ENVS))
    after, _ = task.update(state, control, differentiable=True)
    after.parameters["module"].sum().backward()
    assert (control.weights.grad != 0).any()
    assert all(map(torch.equal, tree.leaves(state), tree.leaves(before)))
    assert after.buffers["body.1.num_batches_tracked"].tolist() == [1] * NUM_ENVS


@pytest.mark.parametrize(
    ("case", "options", "reason"),
    [
        (module_cases.convolutions, {}, "loss 'confidence' draws random numbers"),
        (module_cases.two_heads, {"vectorize": False}, "vectorize=False computes one run"),
    ],
)
def test_what_cannot_be_compiled_is_told(case, options, reason, data, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda program, **_: program)
    envs = AutoLossVectorEnv(case(data, **options), 3, compile=True)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=f"compile=True: {reason}.*; use compile=False"):
        envs.step(np.zeros(3, dtype=np.int64))


def test_an_environment_of_modules_trains(data):
    task = module_cases.two_heads(data, max_steps=60, validate_every=20, learning_rate=1e-2)
    envs = AutoLossVectorEnv(task, 3)
    envs.reset(seed=0)
    for step in range(60):
        *_, infos = envs.step(np.full(3, step % 2))
    assert (infos["final_info"]["best_score"] < 1.0).all()  # ln 10 = 2.3 before
