"""Presets of `IntroVAE`: digits, and faces of three sizes."""

from typing import Any

from autoloss_gym.optimizers import Adam

ADAM = Adam(learning_rate=3e-3, betas=(0.5, 0.999))
DIGITS: dict[str, Any] = {
    "dataset": "digits",
    "latent_size": 16,
    "margin": 60.0,
    "alpha": 0.5,
    "reconstruction": 60.0,
    "optimizer": ADAM,
    "max_steps": 1000,
    "validate_every": 50,
}
FACES: dict[str, Any] = {
    "dataset": "lfwcrop",
    "size": 16,
    "niqe_patch": 8,
    "latent_size": 32,
    "margin": 60.0,
    "alpha": 0.25,
    "reconstruction": 25.0,
    "optimizer": Adam(learning_rate=5e-4),
    "max_steps": 3000,
    "validate_every": 100,
}
FACES32: dict[str, Any] = {
    **FACES,
    "size": 32,
    "niqe_patch": 16,
    "reconstruction": 6.4,
    "optimizer": Adam(learning_rate=1e-3),
}
# For a GPU.
FACES64: dict[str, Any] = {
    **FACES,
    "size": 64,
    "niqe_patch": 16,
    "filters": 32,
    "latent_size": 128,
    "margin": 120.0,
    "reconstruction": 1.6,
    "optimizer": Adam(learning_rate=2e-4),
    "max_steps": 20_000,
    "validate_every": 500,
    "num_held_out": 1000,
    "num_test": 1000,
}
