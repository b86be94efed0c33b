"""How good the images are that a model makes, judged by what a classifier makes of them: batched
over runs.

Sums, matrices and eigenvalues are float64, and what comes out is of the type that went in. A run
with a number that is not finite gets NaN, and the others what they get alone.
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
    """What `frechet_distance` and `diversity` compare with.

    Raises:
        ValueError: the features are not finite, or are the same in all rows.
    """
    if not torch.isfinite(features).all() or not (features != features[:1]).any():
        raise ValueError(
            f"features of {len(features)} real images: expected finite ones that differ; give other images"
        )
    mean, covariance = _mean_and_covariance(features[None])
    values, vectors = torch.linalg.eigh(covariance[0])
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return Moments(mean[0], covariance[0], root)


def inception_score(
    probabilities: Float[Tensor, "num_envs rows classes"],
) -> Float[Tensor, " num_envs"]:
    """exp of the mean over images of KL(p(y|x) ‖ p(y)), from 1 to the number of classes (Salimans
    et al. 2016).

    It is high where each image is clearly of one class and all classes are equally frequent.

    Args:
        probabilities: p(y|x) of each image of a run; p(y) is their mean over the run's images.
    """
    conditional = probabilities.to(torch.float64)
    marginal = conditional.mean(dim=1, keepdim=True)
    # xlogy is 0 where a probability is 0, whatever the logarithm.
    divergence = (torch.xlogy(conditional, conditional) - torch.xlogy(conditional, marginal)).sum(
        dim=2
    )
    return torch.exp(divergence.mean(dim=1)).to(probabilities.dtype)


def frechet_distance(
    features: Float[Tensor, "num_envs rows features"], real: Moments
) -> Float[Tensor, " num_envs"]:
    """‖μ − μ_r‖² + tr(Σ + Σ_r − 2 (Σ_r^½ Σ Σ_r^½)^½), at least 0, in squared units of the features
    (Heusel et al. 2017).

    Args:
        features: of each image of a run.
        real: moments μ_r and Σ_r of the features of real images.
    """
    finite = torch.isfinite(features).all(dim=2).all(dim=1)
    mean, covariance = _mean_and_covariance(torch.where(finite[:, None, None], features, 0.0))
    root, nothing = real.root.expand_as(covariance), torch.zeros_like(mean)
    product = affine(affine(root, covariance, nothing), root, nothing)
    # Zeros that fill whole cache lines add eigenvalues of 0: bits depend on where the matrix of a
    # run lies.
    filled = pad(product, (0, -mean.shape[1] % _ALIGNMENT) * 2)
    shared = torch.linalg.eigvalsh(filled).clamp(min=0).sqrt().sum(dim=1)
    offset = mean - real.mean
    distance = (
        (offset * offset).sum(dim=1)
        + _trace(covariance)
        + _trace(real.covariance[None])
        - 2 * shared
    )
    return torch.where(finite, distance.clamp(min=0), torch.nan).to(features.dtype)


def diversity(
    features: Float[Tensor, "num_envs rows features"], real: Moments
) -> Float[Tensor, " num_envs"]:
    """Root mean squared distance between two images of a run relative to that of real images, √(tr
    Σ / tr Σ_r).

    1 where images differ from each other as much as real ones do, 0 where they are all the same.

    Args:
        features: of each image of a run.
        real: moments of the features of real images.
    """
    _, covariance = _mean_and_covariance(features)
    return torch.sqrt(_trace(covariance) / _trace(real.covariance[None])).to(features.dtype)


def _mean_and_covariance(
    features: Float[Tensor, "num_envs rows features"],
) -> tuple[Float64[Tensor, "num_envs features"], Float64[Tensor, "num_envs features features"]]:
    """Of each run; the covariance with rows − 1 in the denominator, and 0 for one row."""
    first = features[:, :1].to(
        torch.float64
    )  # subtracted so that equal features have a covariance of exactly 0
    shifted = features.to(torch.float64) - first
    mean = shifted.mean(dim=1, keepdim=True)
    centred = shifted - mean
    return (first + mean)[:, 0], sum_of_outer_products(centred, centred) / max(
        features.shape[1] - 1, 1
    )


def _trace(matrices: Float64[Tensor, "runs features features"]) -> Float64[Tensor, " runs"]:
    return matrices.flatten(1)[:, :: matrices.shape[2] + 1].sum(
        dim=1
    )  # compiling `diagonal` warns in PyTorch 2.13
