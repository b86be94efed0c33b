"""Values are brought to their declared types, or refused in one line."""

import dataclasses
from typing import Any, Literal

import numpy as np
import pytest

from autoloss_gym.core.task import Metric, Pair
from autoloss_gym.optimizers import Adam, Optimizer
from autoloss_gym.tools.bounds import BelowOne, PositiveFloat, PositiveInt, PositiveInts
from autoloss_gym.tools.fields import check_fields, converted


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (1e3, int, 1000),
        (np.int64(3), PositiveInt, 3),
        (np.float32(2.0), int, 2),
        (1, float, 1.0),
        (np.float32(0.5), PositiveFloat, 0.5),
        (np.True_, bool, True),
        ([32, 1e1], PositiveInts, (32, 10)),
        ((0.5, 0), tuple[BelowOne, BelowOne], (0.5, 0.0)),
        (2020, str | None, "2020"),
        (None, PositiveInt | None, None),
        ("long", Literal["long", "short"], "long"),
    ],
)
def test_a_value_becomes_the_type_that_is_declared_where_nothing_is_lost(
    value, annotation, expected
):
    got = converted("name", value, annotation)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (True, int, "an integer"),
        (np.True_, int, "an integer"),
        (2.5, int, "an integer"),
        (float("inf"), int, "an integer"),
        (10**400, int, "an integer"),
        (10**400, float, "a number"),
        (10**30, PositiveInt, "an integer of at least 1 and below 2**31"),
        (0, PositiveInt, "an integer of at least 1 and below 2**31"),
        (float("nan"), PositiveFloat, "a positive finite number, at most 1e30"),
        (1e308, PositiveFloat, "a positive finite number, at most 1e30"),
        (float("inf"), PositiveFloat, "a positive finite number, at most 1e30"),
        (1 + 2j, float, "a number"),
        (int, int, "an integer"),
        (np.array(5), int, "an integer"),
        (1, bool, "True or False"),
        (b"adam", str, "text"),
        (32, PositiveInts, "a list, each element an integer of at least 1 and below 2**31"),
        ([32, 0], PositiveInts, "a list, each element an integer of at least 1 and below 2**31"),
        ([0.5], tuple[float, float], "a list of 2, each element a number"),
        (["x"], str | None, "text or None"),
        (True, str | None, "text or None"),
        ("longer", Literal["long", "short"], "'long' or 'short'"),
        ("adam", Optimizer, "an autoloss_gym Optimizer, such as SGD(learning_rate=0.01)"),
    ],
)
def test_any_other_value_is_refused_in_one_line(value, annotation, expected):
    with pytest.raises(ValueError) as caught:
        converted("name", value, annotation)
    message = str(caught.value)
    assert message.startswith("name=")
    assert message.endswith(f": expected {expected}")
    assert "\n" not in message
    assert len(message) < 300


def test_of_types_that_say_nothing_any_value_passes():
    value = object()
    assert converted("name", value, Any) is value
    assert converted("name", value, "a string annotation") is value


def test_a_subclass_inherits_the_bounds_of_a_field_and_its_default_is_its_own():
    @dataclasses.dataclass(frozen=True)
    class Parent:
        size: PositiveInt = 1

        def __post_init__(self):
            check_fields(self)

    @dataclasses.dataclass(frozen=True)
    class Child(Parent):
        size: int = 3
        rate: float = None  # type: ignore[assignment]

    assert Child().rate is None
    assert Child(size=4.0).size == 4
    with pytest.raises(ValueError, match="size=0: expected an integer of at least 1"):
        Child(size=0)
    with pytest.raises(ValueError, match="rate='fast': expected a number"):
        Child(rate="fast")


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Pair("fit", "net"), r"blocks='net': expected a tuple of names"),
        (lambda: Pair("fit", ()), r"blocks=\(\): expected a tuple of names"),
        (lambda: Pair(3, ("net",)), "loss=3, .*: expected a name"),
        (lambda: Metric("mse", minimize="yes"), "minimize='yes'.*: expected a name, True or False"),
        (lambda: Metric("mse", worst=True), "worst=True.*a number"),
        (lambda: Adam(learning_rate=0.1, betas=(0.9, 1.0)), "each element a number of at least 0"),
        (lambda: Adam(learning_rate=True), "learning_rate=True: expected a positive"),
    ],
)
def test_what_a_task_is_made_of_is_refused_where_it_is_made(make, expected):
    with pytest.raises(ValueError, match=expected):
        make()
