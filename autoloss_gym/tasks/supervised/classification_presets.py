"""Named sets of arguments of `MLPClassification`."""

from typing import Any

from autoloss_gym.data.table_families import FAMILY

# A family of problems, which ask for different schedules.
_MIXTURE = {
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
PRESETS: dict[str, dict[str, Any]] = {"tables": {"dataset": FAMILY}, "mixture": _MIXTURE}
