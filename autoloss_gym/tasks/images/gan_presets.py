"""Presets of `ImageGAN`: a small one, and the networks and training of AutoLoss' released code."""

from typing import Any

from autoloss_gym.optimizers import Adam

_RELEASED: dict[str, Any] = {
    "filters": 64,
    "latent_size": 128,
    "kernel_size": 5,
    "weight_deviation": 0.02,
    "optimizer": Adam(learning_rate=2e-4, betas=(0.5, 0.999)),
    "validate_every": 500,
    "patience": 50,
    "collapse_repeats": 500,
    "num_held_out": 5000,
    "num_test": 50_000,
}
SMALL: dict[str, Any] = {
    "dataset": "mnist",
    "size": 16,
    "latent_size": 32,
    "num_samples": 5000,
    "num_test": 2000,
    "max_steps": 4000,
    "validate_every": 100,
}
MNIST: dict[str, Any] = {
    **_RELEASED,
    "dataset": "mnist",
    "batch_size": 128,
    "max_steps": 200_000,
}
CIFAR10: dict[str, Any] = {
    **_RELEASED,
    "dataset": "cifar10",
    "batch_norm": True,
    "batch_size": 256,
    "max_steps": 400_000,
}
