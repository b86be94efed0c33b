import pytest

from autoloss_gym.tools.names import unknown


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ("hinges", "unknown loss 'hinges'; did you mean 'hinge'? Known: hinge, minimax"),
        ("x", "unknown loss 'x'; Known: hinge, minimax"),
    ],
)
def test_a_wrong_name_is_one_line_with_the_nearest_known_name(got, expected):
    assert unknown("loss", got, ("minimax", "hinge")) == expected
