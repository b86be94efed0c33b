"""`benchmarks/step_sizes.py`: a side counts the quadratics that it played."""

from benchmarks.step_sizes import played


def test_a_turn_counts_its_quadratics_with_and_without_derivatives():
    assert played(3, 2)() == 6
    assert played(2, 1, "backward")() == 2
    assert played(2, 1, "forward")() == 2
