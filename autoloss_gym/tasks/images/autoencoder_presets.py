"""Named sets of arguments of `SparseAutoencoder`."""

from typing import Any

from autoloss_gym.optimizers import Adam

MNIST: dict[str, Any] = {
    "dataset": "mnist",
    "hidden_sizes": (128,),
    "code_size": 64,
    "l1_coefficient": 1e-3,
    "batch_size": 100,
    "optimizer": Adam(learning_rate=1e-3),
    "max_steps": 4500,
    "validate_every": 50,
}
# A family of short runs on few or many images.
MIXTURE: dict[str, Any] = {
    "num_samples": (20, 200),
    "batch_size": 16,
    "num_held_out": 100,
    "num_test": 300,
    "learning_rate_factor": (0.1, 4.0),
    "max_steps": 400,
    "validate_every": 20,
}
