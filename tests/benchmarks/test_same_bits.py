"""The comparison of runs alone and in batches."""

from benchmarks.same_bits import different, played

ID = "AutoLoss/Beale-v1"


def test_a_run_is_itself_in_a_batch_and_none_of_its_neighbours():
    many = played(ID, 3, 0)
    assert different(played(ID, 1, 1), many, slice(1, 2)) == set()
    assert {"observations", "instance", "final score"} <= different(
        played(ID, 1, 1), many, slice(2, 3)
    )
