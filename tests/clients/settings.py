"""What the tests of other libraries share."""

import pytest

import autoloss_gym  # noqa: F401 (registers the ids)

ID = "AutoLoss/QuadraticRegression-v1"
SMALL = {"dimension": 4, "num_samples": 20, "max_steps": 20, "validate_every": 5}

# The libraries warn of one another, at import and later: that is not for us to mend.
marks = [pytest.mark.clients, pytest.mark.filterwarnings("default")]
