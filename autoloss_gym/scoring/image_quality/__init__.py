"""Quality of reconstructed and generated images, batched over runs and computed on their device.

`peak_signal_noise_ratio` and `structural_similarity` compare images with those that they
reconstruct, and `niqe` judges images by themselves. Everything is computed in float64 and returned
in the type of the images; a run gets what it would get alone.
"""

from autoloss_gym.scoring.image_quality.comparison import (
    peak_signal_noise_ratio,
    structural_similarity,
)
from autoloss_gym.scoring.image_quality.niqe import (
    PristineModel,
    check_niqe_images,
    fit_pristine_model,
    load_pristine_model,
    niqe,
)

__all__ = [
    "PristineModel",
    "check_niqe_images",
    "fit_pristine_model",
    "load_pristine_model",
    "niqe",
    "peak_signal_noise_ratio",
    "structural_similarity",
]
