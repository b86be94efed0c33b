"""Quality of generated images from a classifier's features and probabilities, batched over runs.

Sums, matrices and eigenvalues are float64, and results are of the dtype of the arguments. A run
with a number that is not finite gets NaN; the other runs get what they would get alone.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.functional import pad

from autoloss_gym.networks.linear import affine, sum_of_outer_products

_ALIGNMENT = 8  # float64 numbers in 64 bytes


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of the features of real images.

    Args:
        mean: (features,), float64.
        covariance: (features, features), float64.
        root: the symmetric positive semi-definite matrix whose square is the covariance, (features,
            features), float64.
    """

    mean: Float64[Tensor, " features"]
    covariance: Float64[Tensor, "features features"]
    root: Float64[Tensor, "features features"]


def moments(features: Float[Tensor, "rows features"]) -> Moments:
    """Moments of real images, with which `frechet_distance` and `diversity` compare.

    Raises:
        ValueError: the features are not finite, or are the same in all rows.
    """
    differ = (features != features[:1]).any()
    if not torch.isfinite(features).all() or not differ:
        raise ValueError(
            f"features of {len(features)} real images: expected finite ones that differ; "
            "give other images"
        )
    mean, covariance = _mean_and_covariance(features[None])
    values, vectors = torch.linalg.eigh(covariance[0])
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return Moments(mean[0], covariance[0], root)


def inception_score(
    probabilities: Float[Tensor, "num_envs rows classes"],
) -> Float[Tensor, " num_envs"]:
    """exp of the mean over images of KL(p(y|x) ‖ p(y)), from 1 to the number of classes.

    It is high where each image is clearly of one class and all classes are equally frequent
    (Salimans et al. 2016).

    Args:
        probabilities: p(y|x) of each image of a run; p(y) is their mean over the run's images.
    """
    conditional = probabilities.to(torch.float64)
    marginal = conditional.mean(dim=1, keepdim=True)
    # xlogy is 0 where a probability is 0, whatever the logarithm.
    terms = torch.xlogy(conditional, conditional) - torch.xlogy(conditional, marginal)
    divergence = terms.sum(dim=2)
    return torch.exp(divergence.mean(dim=1)).to(probabilities.dtype)


def frechet_distance(
    features: Float[Tensor, "num_envs rows features"], real: Moments
) -> Float[Tensor, " num_envs"]:
    """‖μ − μ_r‖² + tr(Σ + Σ_r − 2 (Σ_r^½ Σ Σ_r^½)^½), at least 0 (Heusel et al. 2017).

    Its unit is that of the features, squared.

    Args:
        features: of each image of a run.
        real: moments μ_r and Σ_r of the features of real images.
    """
    # The eigenvalues of a matrix with NaN would be an error for all runs.
    finite = torch.isfinite(features).all(dim=2).all(dim=1)
    mean, covariance = _mean_and_covariance(torch.where(finite[:, None, None], features, 0.0))
    root = real.root.expand_as(covariance)
    no_bias = torch.zeros_like(mean)
    product = affine(affine(root, covariance, no_bias), root, no_bias)

    # The bits of eigenvalues depend on where the matrix of a run lies, so zeros fill whole cache
    # lines; they add eigenvalues of 0.
    more = -mean.shape[1] % _ALIGNMENT
    filled = pad(product, (0, more, 0, more))
    shared = torch.linalg.eigvalsh(filled).clamp(min=0).sqrt().sum(dim=1)

    offset = mean - real.mean
    traces = _trace(covariance), _trace(real.covariance[None])
    distance = (offset * offset).sum(dim=1) + traces[0] + traces[1] - 2 * shared
    return torch.where(finite, distance.clamp(min=0), torch.nan).to(features.dtype)


def diversity(
    features: Float[Tensor, "num_envs rows features"], real: Moments
) -> Float[Tensor, " num_envs"]:
    """√(tr Σ / tr Σ_r), the spread of a run's images relative to that of real images.

    It is the root mean squared distance between two images of a run, divided by that of two real
    ones: 1 where images differ as much as real ones do, 0 where they are all the same.

    Args:
        features: of each image of a run.
        real: moments of the features of real images.
    """
    _, covariance = _mean_and_covariance(features)
    return torch.sqrt(_trace(covariance) / _trace(real.covariance[None])).to(features.dtype)


def _mean_and_covariance(
    features: Float[Tensor, "num_envs rows features"],
) -> tuple[Float64[Tensor, "num_envs features"], Float64[Tensor, "num_envs features features"]]:
    """Moments of each run, the covariance with rows − 1 in its denominator and 0 for one row."""
    # Subtracted so that equal features have a covariance of exactly 0.
    first = features[:, :1].to(torch.float64)
    shifted = features.to(torch.float64) - first
    mean = shifted.mean(dim=1, keepdim=True)
    centred = shifted - mean
    degrees = max(features.shape[1] - 1, 1)
    covariance = sum_of_outer_products(centred, centred) / degrees
    return (first + mean)[:, 0], covariance


def _trace(matrices: Float64[Tensor, "runs features features"]) -> Float64[Tensor, " runs"]:
    # Compiling `diagonal` warns in PyTorch 2.13.
    diagonals = matrices.flatten(1)[:, :: matrices.shape[2] + 1]
    return diagonals.sum(dim=1)
