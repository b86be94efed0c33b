"""Named sets of arguments of `QuadraticRegression`."""

from typing import Any

from autoloss_gym.data.table_families import FAMILY
from autoloss_gym.optimizers import Adam

# The settings of the authors' code.
RELEASED: dict[str, Any] = {
    "optimizer": Adam(learning_rate=5e-4),
    "max_steps": 20_000,
    "validate_every": 10,
    "patience": 100,
}
# A family of problems, which ask for different schedules.
MIXTURE: dict[str, Any] = {
    "dimension": 8,
    "num_samples": (30, 100),
    "num_held_out": 200,
    "noise": (0.5, 6.0),
    "active_features": (1, 8),
    "true_quadratic": 0.5,
    # With the factor, rates from 0.002 to 0.08: 200 updates are few.
    "optimizer": Adam(learning_rate=2e-2),
    "learning_rate_factor": (0.1, 4.0),
    "max_steps": 200,
    "validate_every": 5,
}
# A family of problems from real tables.
TABLES: dict[str, Any] = {
    "dataset": FAMILY,
    # With the factor, rates from 0.002 to 0.08: 200 updates are few.
    "optimizer": Adam(learning_rate=2e-2),
    "learning_rate_factor": (0.1, 4.0),
    "max_steps": 200,
}
