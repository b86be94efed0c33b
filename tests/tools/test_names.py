import numpy as np
import pytest

from autoloss_gym.tools.names import shown, unknown


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ("hinges", "unknown loss 'hinges'; did you mean 'hinge'? Known: hinge, minimax"),
        ("x", "unknown loss 'x'; Known: hinge, minimax"),
    ],
)
def test_a_wrong_name_is_one_line_with_the_nearest_known_name(got, expected):
    assert unknown("loss", got, ("minimax", "hinge")) == expected


class Unprintable:
    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.zeros((2, 2)), "array([[0., 0.], [0., 0.]])"),
        ("a\nb", r"'a\nb'"),
        ([0] * 1000, "[" + "0, " * 39 + "0,…"),
        pytest.param(10**5000, "<a value of type int>", id="digits"),
        (Unprintable(), "<a value of type Unprintable>"),
    ],
)
def test_any_value_is_shown_in_one_short_line(value, expected):
    assert shown(value) == expected
