"""The numbers of every task are those that are stored."""

import json

import numpy as np
import pytest

from tests.support import digests

STORED = json.loads(digests.FILE.read_text())


@pytest.mark.parametrize("name", digests.CASES)
def test_fifty_steps_give_the_stored_numbers(name):
    digest, scores = digests.play(*digests.CASES[name])
    stored = STORED["cases"][name]
    np.testing.assert_allclose(scores, stored["scores"], rtol=1e-4)
    if STORED["machine"] == digests.machine():  # equal bits are promised there alone
        assert digest == stored["digest"]
