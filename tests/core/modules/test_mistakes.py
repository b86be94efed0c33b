"""What users of modules get wrong is told in one line that says what to do."""

import functools
from dataclasses import dataclass

import pytest
import torch
from torch import nn

import autoloss_gym
from autoloss_gym import SGD, Adam, Metric, Pair, from_module
from tests.support import toy_tasks


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.head, self.spare = nn.Linear(2, 2), nn.Linear(2, 1), nn.Linear(2, 1)

    def forward(self, x):
        return self.head(self.trunk(x))


def fit(model, x):
    return model(x).square().mean()


def spare(model, x):
    return model.spare(model.trunk(x)).square().mean()


def as_task(**arguments):
    given = {
        "module": Net,
        "losses": {"fit": fit, "spare": spare},
        "validation": fit,
        "data": torch.ones(10, 2),
        **arguments,
    }
    autoloss_gym.check_task(from_module(**given))


ONE_NET = Net()


class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.LazyLinear(1)


class Frozen(nn.Linear):
    def __init__(self):
        super().__init__(2, 1)
        self.requires_grad_(False)


class TensorsOfOther(nn.Module):
    sizes = iter((2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3))

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, next(self.sizes))

    def forward(self, x):
        return self.layer(x)


MISTAKES = {
    "a module instead of a factory": ({"module": ONE_NET}, "expected a function that makes a new"),
    "the same module again": ({"module": lambda: ONE_NET}, "the same module twice"),
    "no module": ({"module": lambda: 3}, "the factory returned 3; expected an nn.Module"),
    "lazy": ({"module": Lazy}, "'layer.weight' has no shape yet; call the module on an example"),
    "frozen": ({"module": Frozen}, "no parameters that require a gradient"),
    "other shapes": (
        {"module": TensorsOfOther, "losses": {"fit": lambda model, x: model(x).square().mean()}},
        "modules with other parameters",
    ),
    "a loss that is no scalar": (
        {"losses": {"fit": lambda model, x: model(x).square()}},
        r"loss 'fit' returned a tensor of shape \(6, 1\); expected a tensor without dimensions",
    ),
    "a number": ({"losses": {"fit": lambda model, x: 1.5}}, "loss 'fit' returned 1.5; expected"),
    "a loss without parameters": (
        {"losses": {"fit": lambda model, x: model(x).detach().mean()}},
        "loss 'fit' depends on no parameter",
    ),
    "a loss that fails": (
        {"losses": {"fit": lambda model, x: model(x["x"])}},
        "loss 'fit' failed on one run of its part of the data: ",
    ),
    "no losses": ({"losses": {}}, "expected functions"),
    "a list of losses": ({"losses": [fit]}, "losses=.*expected a mapping"),
    "a loss that is no function": ({"losses": {"fit": 3}}, "loss 'fit'=3: expected a function"),
    "no validation": ({"validation": {}}, "validation={}: expected a function"),
    "a validation of several numbers": (
        {"validation": lambda model, x: model(x).squeeze(1)}, "validation 'validation' returned",
    ),
    "a pattern that matches nothing": (
        {"blocks": {"trunk": "trnk.*", "head": "head"}}, "unknown pattern of parameters 'trnk",
    ),
    "a parameter in two blocks": (
        {"blocks": {"all": "*", "head": "head.*"}}, "'head.weight' is in 'all' and in 'head'",
    ),
    "a parameter in no block": (
        {"blocks": {"head": "head"}}, "'trunk.bias' is in none, and fit depends on it",
    ),
    "an unknown block": ({"pairs": {"fit": "hed", "spare": "spare"}}, "did you mean 'head'"),
    "an unknown loss": ({"pairs": {"fitt": "head"}}, "did you mean 'fit'"),
    "a loss without pair": ({"pairs": {"fit": "head"}}, "pairs has no 'spare'"),
    "a block that a loss does not reach": (
        {"pairs": {"fit": ("trunk", "spare"), "spare": "spare"}},
        "the loss does not depend on block 'spare'; it depends on trunk, head",
    ),
    "a data loader": (
        {"data": torch.utils.data.DataLoader(torch.ones(10, 2), batch_size=4)},
        "expected data=loader.dataset with batch_size=4",
    ),
    "a missing part": (
        {"data": {"train": torch.ones(3, 2), "test": torch.ones(3, 2)}}, "no part 'validation'",
    ),
    "an unknown part": (
        {"data": {"train": torch.ones(3, 2), "valid": torch.ones(3, 2)}}, "unknown part 'valid'",
    ),
    "rows of two numbers": (
        {"data": {"x": torch.ones(9, 2), "y": torch.ones(8)}}, r"data of \[8, 9\] rows cannot be",
    ),
    "words as data": ({"data": ["a", "b"]}, "expected tensors or arrays of numbers"),
    "an optimizer that is made": (
        {"optimizer": torch.optim.Adam(Net().parameters())},
        "expected the class, optimizer=torch.optim.Adam",
    ),
    "an optimizer that is not there": ({"optimizer": torch.optim.LBFGS}, "expected 'adam', 'sgd'"),
    "a misspelt optimizer": ({"optimizer": "adamm"}, "did you mean 'adam'"),
    "weight decay": (
        {"optimizer": functools.partial(torch.optim.Adam, weight_decay=0.1)},
        "weight_decay=0.1 is not known here; pass weight_decay=0 and write it as a loss",
    ),
    "AdamW": ({"optimizer": torch.optim.AdamW}, "weight_decay=0.01 is not known here"),
    "nesterov": (
        {"optimizer": torch.optim.SGD, "optimizer_arguments": {"nesterov": True}},
        "nesterov=True is not known to SGD here",
    ),
    "a rate beside our optimizer": (
        {"optimizer": SGD(learning_rate=0.1), "learning_rate": 0.1}, "in the optimizer itself",
    ),
    "an unknown argument": ({"max_step": 3}, "unexpected keyword argument 'max_step'.*'max_steps'"),
    "a batch of no rows": ({"batch_size": 0}, "batch_size=0: expected"),
    "a worst value that cannot be guessed": (
        {"test": {"zero": lambda model, x: model.head.weight.sum() * 0}},
        r"test 'zero' is 0.0 before any training; expected worst=",
    ),
    "two figures of one name": (
        {"validation": {"a": fit, Metric("a"): fit}}, "names a, a; expected each once",
    ),
    "numbers that are kept between calls": (
        {"losses": {"fit": fit, "spare": lambda model, x: spare(model, x) * next(COUNTER)}},
        "loss 'spare' differs where runs are computed together",
    ),
}  # fmt: skip
COUNTER = iter(range(1, 10_000))


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line(mistake):
    arguments, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message) as told:
        as_task(**arguments)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


@pytest.mark.usefixtures("as_users_have_it")
def test_one_name_without_its_comma_is_one_block():
    arms = from_module(
        Net, {"fit": fit, "spare": spare}, validation=fit, data=torch.ones(10, 2),
        pairs={"fit": ("head"), "spare": ("spare")},
    ).pairs  # fmt: skip
    assert [pair.blocks for pair in arms] == [("head",), ("spare",)]
    with pytest.raises(ValueError, match=r"blocks='net': expected a tuple of names, such as"):
        Pair("fit", "net")


@pytest.mark.parametrize(
    ("given", "more", "expected"),
    [
        (torch.optim.Adam, {}, Adam(learning_rate=1e-3)),
        ("sgd", {"optimizer_arguments": {"momentum": 0.9}}, SGD(learning_rate=1e-3, momentum=0.9)),
        (
            functools.partial(torch.optim.Adam, lr=0.1, betas=(0.5, 0.9), eps=1e-6, fused=False),
            {"learning_rate": 0.2},
            Adam(learning_rate=0.2, betas=(0.5, 0.9), epsilon=1e-6),
        ),
        (
            torch.optim.AdamW,
            {"optimizer_arguments": {"weight_decay": 0}},
            Adam(learning_rate=1e-3),
        ),
        (SGD(learning_rate=0.5), {}, SGD(learning_rate=0.5)),
    ],
)
def test_optimizers_by_their_names_in_pytorch(given, more, expected):
    made = from_module(
        Net, {"fit": fit}, validation=fit, data=torch.ones(10, 2), optimizer=given, **more
    )
    assert made.optimizer == expected


@pytest.mark.usefixtures("as_users_have_it")
def test_an_ordinary_task_says_which_optimizer_it_wants():
    with pytest.raises(ValueError, match=r"optimizer=.*SGD.*expected an autoloss_gym Optimizer"):
        toy_tasks.TwoBlocks(optimizer=torch.optim.SGD)


@dataclass(frozen=True, kw_only=True)
class Differentiating(toy_tasks.TwoBlocks):
    def validation_values(self, parameters, data):
        x = torch.ones(len(parameters["a"]), 3, requires_grad=True)
        (slope,) = torch.autograd.grad((parameters["a"] * x).sum(), x)
        return slope[:, :2]


def test_the_validation_of_an_ordinary_task_may_differentiate():
    autoloss_gym.check_task(Differentiating())
