"""Under pytest every call within the package is checked against its annotations."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import jaxtyping
import pytest
import torch
from jaxtyping import Float, Int64, TypeCheckError
from torch import Tensor

from autoloss_gym.networks import linear
from autoloss_gym.optimizers import SGD
from tests.support.annotations import Checks, checked

if TYPE_CHECKING:
    from nowhere import Unknown

Rows = Float[Tensor, "runs size"]
GOOD = torch.zeros(2, 3)


@checked
def add(x: Rows, y: Float[Tensor, "runs size"], *, scale: float = 1.0) -> Float[Tensor, " runs"]:
    return scale * (x + y).sum(dim=1)


@checked
def halves(x: Rows) -> Rows:
    return x[:, : x.shape[1] // 2]


@checked
def nothing(x: Rows) -> None:
    return x


@checked
def positions(length: int) -> Int64[Tensor, "{length}"]:  # noqa: F821
    return torch.arange(min(length, 3))


@checked
def rows(x: Rows) -> Iterator[Float[Tensor, " size"]]:
    yield from x


@checked
def anything(x: "Unknown", y: "int") -> int:
    return y


@checked
def unannotated(x):
    return x


def made_within(size, kind):
    """A function that is made anew in each call, with another type."""

    @checked
    def grow(x: Float[Tensor, "runs size"], by: kind = None) -> Float[Tensor, " size"]:
        return x[0, :size]

    return grow


@checked
def keywords(first: int, /, *others: int, last: int = 0, **more: int) -> int:
    return first + sum(others) + last + sum(more.values())


@checked
@dataclasses.dataclass
class Pair:
    x: Rows
    y: Float[Tensor, " runs"]


class Outer:
    @checked
    def keep(self, x: dict[str, Rows]) -> list[Rows]:
        return [*x.values()]

    @staticmethod
    @checked
    def inner(x: Rows) -> Float[Tensor, " runs"]:
        return add(x[:, :1], x[:, :1])


def test_good_calls_return_what_they_would_without_checks():
    assert add(GOOD, GOOD + 1, scale=2.0).tolist() == [6.0, 6.0]
    assert positions(3).tolist() == [0, 1, 2]
    assert [each.tolist() for each in rows(GOOD)] == [[0.0] * 3] * 2
    assert anything("any", 2) == 2
    assert Pair(GOOD, GOOD[:, 0]).x is GOOD
    assert Outer().keep({"a": GOOD})[0] is GOOD
    assert unannotated(3) == 3
    assert keywords(1, 2, 3, last=4, other=5) == 15


MISTAKES = {
    "type of element": lambda: add(GOOD.long(), GOOD),
    "number of dimensions": lambda: add(GOOD[0], GOOD),
    "two sizes of one name": lambda: add(GOOD, GOOD[:, :2]),
    "keyword": lambda: add(GOOD, GOOD, scale="1"),
    "array of another library": lambda: add(GOOD.numpy(), GOOD),
    "size of what is returned": lambda: halves(GOOD),
    "returned where there is nothing": lambda: nothing(GOOD),
    "size that an argument names": lambda: positions(4),
    "argument of a generator": lambda: next(rows(GOOD[0])),
    "further argument": lambda: keywords(1, "2"),
    "further keyword": lambda: keywords(1, other="2"),
    "function within another": lambda: made_within(3, int)(GOOD[0]),
    "returned by a function within another": lambda: made_within(2, int)(GOOD),
    "type written as a text": lambda: anything("any", "2"),
    "field of a dataclass": lambda: Pair(GOOD, GOOD[0]),
    "value in a dictionary": lambda: Outer().keep({"a": GOOD[0]}),
    "method of the package": lambda: SGD(learning_rate=0.1).init(GOOD[0]),
    "function of the package": lambda: linear.affine(GOOD[None], GOOD[None], GOOD[:1]),
    "dataclass of the package": lambda: SGD(learning_rate="0.1"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused(mistake):
    with pytest.raises(TypeCheckError):
        MISTAKES[mistake]()


def test_functions_made_by_one_text_have_what_they_enclose_and_their_own_types():
    number, word = made_within(3, int), made_within(3, str)
    assert number(GOOD, 1).shape == word(GOOD, "1").shape == made_within(9, int)(GOOD).shape == (3,)
    for function, by in ((number, "1"), (word, 1), (made_within(3, int), "1")):
        with pytest.raises(TypeCheckError):
            function(GOOD, by)


def test_sizes_belong_to_one_call():
    assert Outer.inner(GOOD).shape == (2,)
    assert add(GOOD[:1], GOOD[:1]).shape == (1,)


def test_an_error_within_a_call_leaves_the_sizes_of_others_alone():
    with pytest.raises(TypeCheckError):
        add(GOOD, GOOD[:, :2])
    assert add(GOOD[:, :2], GOOD[:, :2]).shape == (2,)


def test_without_an_argument_the_error_is_that_of_python():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'y'"):
        add(GOOD)


def test_checks_can_be_left_out(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert nothing(GOOD) is GOOD
    assert positions(4).tolist() == [0, 1, 2]


def test_the_first_calls_of_a_test_are_checked_and_then_some():
    def refused():
        for _ in range(64):
            try:
                halves_wrongly(GOOD)
                yield False
            except TypeCheckError:
                yield True

    @checked
    def halves_wrongly(x: Rows) -> Rows:
        return x[:, :1]

    assert [call for call, wrong in enumerate(refused(), 1) if wrong] == [
        *range(1, 9),
        16,
        32,
        48,
        64,
    ]
    Checks.tests += 1  # as when another test begins
    assert next(refused())
