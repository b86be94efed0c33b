"""What a constructor is given: a rule comes of it, or one line."""

import math
import random
from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest
import torch

from autoloss_gym.optimizers import SGD, Adam
from autoloss_gym.weightings import (
    DynamicWeightAverage,
    Equal,
    Fixed,
    GradNorm,
    RandomLossWeighting,
    SoftAdapt,
    UncertaintyWeighting,
)

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: SoftAdapt(every=2.5), "every=2.5: expected a whole number of at least 1"),
        (lambda: SoftAdapt(every=True), "every=True: expected a whole number"),
        (lambda: SoftAdapt(every=2**31), "every=2147483648: expected .* below 2"),
        (lambda: SoftAdapt(window=5.0), "window=5.0: expected a whole number from 2 to 10,000"),
        (lambda: SoftAdapt(window=10**12), "window=1000000000000: expected a whole number from 2"),
        (lambda: SoftAdapt(order="2"), "order='2': expected 1 to 4"),
        (lambda: SoftAdapt("0.1"), "beta='0.1': expected a finite number"),
        (lambda: SoftAdapt(10**400), "beta=1000.*: expected a finite number"),
        (lambda: SoftAdapt(torch.ones(2, 2)), r"beta=tensor\(\[\[1.*: expected a finite number"),
        (lambda: SoftAdapt(normalized=1), "normalized=1: expected True or False"),
        (lambda: SoftAdapt(slope=None), "slope=None: expected 'backward', 'least_squares' or 'fo"),
        (lambda: SoftAdapt(scale=["sum"]), r"scale=\['sum'\]: expected 'sum', 'count' or None"),
        (lambda: SoftAdapt(prior=5), "prior=5: expected numbers of at least 0, one for each loss"),
        (lambda: SoftAdapt(prior="12"), "prior='12': expected numbers"),
        (lambda: SoftAdapt(prior={"a": 1}), "prior={'a': 1}: expected numbers"),
        (lambda: SoftAdapt(prior=(1, None)), r"prior=\[1, None\]: expected numbers"),
        (lambda: Fixed((1j, 1)), r"weights=\[1j, 1\]: expected numbers"),
        (lambda: Fixed((1e39, 1)), "weights=.*: expected .* the largest of them from 1e-30 to 1e30"),
        (lambda: DynamicWeightAverage("2"), "temperature='2': expected a positive finite number"),
        (lambda: GradNorm(None), "alpha=None: expected a finite number of at least 0"),
        (lambda: GradNorm(optimizer="adam"), "optimizer='adam': expected .* such as Adam"),
        (lambda: UncertaintyWeighting(3), "optimizer=3: expected an optimizer of autoloss_gym"),
        (lambda: RandomLossWeighting(0.5), "seed=0.5: expected a whole number of 64 bits"),
        (lambda: RandomLossWeighting(2**63), "seed=9223372036854775808: expected a whole number"),
    ],
)  # fmt: skip
def test_an_argument_of_another_type_or_size_is_one_line(make, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_the_main_argument_may_be_given_without_its_name_and_no_other():
    optimizer = SGD(learning_rate=0.5)
    assert repr(SoftAdapt(-1.0)) == repr(SoftAdapt(beta=-1.0))
    assert DynamicWeightAverage(3.0).temperature == 3.0
    assert GradNorm(0.5).alpha == 0.5
    assert RandomLossWeighting(7).seed == 7
    assert Fixed((1, 2)).weights == (1.0, 2.0)
    assert UncertaintyWeighting(optimizer).optimizer is optimizer
    for make in (lambda: SoftAdapt(0.1, True), lambda: Fixed((1, 2), "sum"), lambda: Equal(2)):
        with pytest.raises(TypeError, match="positional argument"):
            make()


def test_numbers_of_numpy_and_torch_become_plain_ones():
    rule = SoftAdapt(np.float32(0.5), window=np.int64(3), normalized=np.bool_(True))
    assert (rule.beta, rule.window, rule.normalized) == (0.5, 3, True)
    assert [type(each) for each in (rule.beta, rule.window, rule.normalized)] == [float, int, bool]
    for weights in (np.array([1, 2]), torch.tensor([1.0, 2.0]), [Fraction(1), 2], iter((1, 2))):
        assert Fixed(weights).weights == (1.0, 2.0)


ODD = [
    None, True, 0, 1, -1, 5, 10**400, 2**63, 0.0, 0.5, 1e308, 1e-320, math.inf, math.nan, 5.0, "",
    "sum", "adam", "a\nb", b"1", [], (1, 2), [1, "a"], (1, 2, 3), (0, 0), [math.nan, 1], [1e39, 1],
    [10**400], {}, {"a": 1}, {1, 2}, 1j, np.float64(0.5), np.array(1.0), np.array([[1.0, 2.0]]),
    np.array(["a"]), torch.tensor(1.0), torch.tensor([1j]), object(), int, torch.optim.Adam, len,
    range(3),
]  # fmt: skip
FITTING = {
    "beta": [1e308, -1e308, 0, 1e-320], "temperature": [1e-320, 1e308, 1], "alpha": [0, 1e308],
    "seed": [-(2**63), 2**63 - 1], "window": [2, 7], "order": [1, 4], "every": [1, 2, 2**31 - 1],
    "scale": ["sum", "count", None], "prior": [None, (1, 2, 3), [1e30, 1e-30, 0]],
    "weights": [(1, 2, 3), [1e30, 1e30, 1e30], (1e-30, 0, 0)],
    "optimizer": [Adam(learning_rate=1e30), SGD(learning_rate=1e30), SGD(learning_rate=1e-300)],
    "shared": [torch.nn.Linear(2, 1), [torch.ones(2)]],
    "reduce": [None, "mean"],
    "slope": ["forward", "least_squares"], "loss_value": ["latest", "mean"],
    "normalized": [True, False], "loss_weighted": [True, False], "flat_start": [True, False],
}  # fmt: skip
RULES = (
    SoftAdapt,
    DynamicWeightAverage,
    UncertaintyWeighting,
    GradNorm,
    RandomLossWeighting,
    Fixed,
)


def test_any_arguments_give_a_rule_with_finite_weights_or_one_line():
    draw = random.Random(0)
    made, lines = 0, []
    for _ in range(1000):
        rule_class = draw.choice(RULES)
        names = draw.sample([each.name for each in fields(rule_class) if each.init], k=2)
        names = ["weights", *names] if rule_class is Fixed else names
        arguments = {n: draw.choice(draw.choice([FITTING[n], FITTING[n], ODD])) for n in names}
        if callable(arguments.get("reduce")):  # a function of the user's, and what it does
            continue
        try:
            rule = rule_class(**arguments)
            for size in (1.0, 1e30, 1e-30):
                losses = torch.tensor([[1.0, 2.0, 3.0], [4.0, 0.5, 0.1]]) * size
                weights = rule.update(losses, gradient_norms=losses)
                assert torch.isfinite(weights).all(), arguments
            made += 1
        except ValueError as error:
            lines.append((names, str(error)))
    assert 300 < made < 750
    for names, line in lines:
        assert line.split("=")[0] in names
        assert "\n" not in line
        assert len(line) < 250
