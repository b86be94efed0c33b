"""Losses of a generator and a discriminator, from log odds that images are real.

- minimax (Goodfellow et al. 2014): the generator's loss is E log(1 − D(G(z))).
- non_saturating (ibid.): it is −E log D(G(z)), whose gradient does not vanish where the
  discriminator wins.
- hinge (Lim, Ye 2017).

The discriminator's loss is the mean of its two parts, so that both players of the non-saturating
game lose log 2 where neither wins.
"""

import torch
from jaxtyping import Float
from torch import Tensor, exp, log1p, relu

from autoloss_gym.tools.names import unknown

ADVERSARIAL_LOSSES = ("non_saturating", "minimax", "hinge")


def check_adversarial_loss(name: str) -> None:
    """Raise ValueError if there is no loss of that name."""
    if name not in ADVERSARIAL_LOSSES:
        raise ValueError(unknown("loss", name, ADVERSARIAL_LOSSES))


def generator_loss(
    name: str, generated: Float[Tensor, "num_envs batch"]
) -> Float[Tensor, " num_envs"]:
    """Loss of the generator, from the log odds of its images."""
    if name == "minimax":
        values = -_softplus(generated)
    elif name == "non_saturating":
        values = _softplus(-generated)
    else:
        values = -generated
    return values.mean(dim=1)


def discriminator_loss(
    name: str, real: Float[Tensor, "num_envs batch"], generated: Float[Tensor, "num_envs batch"]
) -> Float[Tensor, " num_envs"]:
    """Loss of the discriminator: the mean of its losses on real and on generated images."""
    if name == "hinge":
        on_real = relu(1 - real)
        on_generated = relu(1 + generated)
    else:
        on_real = _softplus(-real)
        on_generated = _softplus(generated)
    return (on_real.mean(dim=1) + on_generated.mean(dim=1)) * 0.5


def classification_error(
    real: Float[Tensor, "num_envs real"], generated: Float[Tensor, "num_envs generated"]
) -> Float[Tensor, " num_envs"]:
    """Error rate of the discriminator: mean of the rates on real and on generated images.

    A run with log odds that are NaN gets NaN.
    """
    missed = (real <= 0).to(real.dtype).mean(dim=1)
    fooled = (generated > 0).to(real.dtype).mean(dim=1)
    known = ~(torch.isnan(real).any(dim=1) | torch.isnan(generated).any(dim=1))
    return torch.where(known, (missed + fooled) * 0.5, torch.nan)


def _softplus(values: Tensor) -> Tensor:
    """log(1 + exp(x)), with slope 1/2 at 0.

    Written as max(x, 0) + log(1 + exp(−|x|)), which cannot overflow, with max(x, 0) = (x + |x|) / 2
    for the slope at 0: operations whose bits do not depend on the size of the batch.
    """
    size = values.abs()
    return (values + size) * 0.5 + log1p(exp(-size))
