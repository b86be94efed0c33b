"""Named sets of arguments of `MLPClassification`."""

from typing import Any

from autoloss_gym.data.table_families import FAMILY

# A family of problems, which ask for different schedules.
MIXTURE: dict[str, Any] = {
    "dataset": "paper",
    "dimension": 32,
    "num_samples": (40, 200),
    "num_held_out": 500,
    "side": (1.5, 4.0),
    "informative": (2, 8),
    "label_noise": (0.0, 0.3),
    "learning_rate_factor": (0.1, 4.0),
    "max_steps": 200,
    "validate_every": 10,
}
# A family of problems from real tables.
TABLES: dict[str, Any] = {
    "dataset": FAMILY,
    "learning_rate_factor": (0.1, 4.0),
    "max_steps": 200,
}
