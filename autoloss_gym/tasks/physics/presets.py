"""Named sets of arguments of `PINN`, one for each equation."""

from typing import Any

from autoloss_gym.optimizers import Adam

OSCILLATOR: dict[str, Any] = {"equation": "oscillator"}
POISSON: dict[str, Any] = {"equation": "poisson"}
# Two dimensions take more points and steps.
BURGERS: dict[str, Any] = {
    "equation": "burgers",
    "num_points": 96,
    "num_condition_points": 32,
    "max_steps": 2000,
    "validate_every": 50,
    "optimizer": Adam(learning_rate=5e-3),
}
HELMHOLTZ: dict[str, Any] = {
    "equation": "helmholtz",
    # On 8 problems, the median error with good weights was 0.018, with tanh 0.049.
    "activation": "sin",
    "num_points": 96,
    "num_condition_points": 32,
    "max_steps": 2000,
    "validate_every": 50,
    "optimizer": Adam(learning_rate=5e-3),
}
