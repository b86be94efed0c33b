"""Losses of two players, from the log odds that images are real: of real ones, and of those that
the generator made.

minimax and non_saturating: Goodfellow et al. 2014; the generator's loss is E log(1 − D(G(z))), or
    −E log D(G(z)), which does
not vanish where the discriminator wins. hinge: Lim, Ye 2017. The discriminator's loss is the mean
of its two parts, so that both players of the non-saturating game lose log 2 where neither wins.
"""

import torch
from jaxtyping import Float
from torch import Tensor, exp, log1p, relu

from autoloss_gym.tools.names import unknown

ADVERSARIAL_LOSSES = ("non_saturating", "minimax", "hinge")


def check_adversarial_loss(name: str) -> None:
    """ValueError if there is no loss of that name."""
    if name not in ADVERSARIAL_LOSSES:
        raise ValueError(unknown("loss", name, ADVERSARIAL_LOSSES))


def generator_loss(
    name: str, generated: Float[Tensor, "num_envs batch"]
) -> Float[Tensor, " num_envs"]:
    """What the generator minimises, from the log odds of its images."""
    values = {
        "minimax": lambda: -_softplus(generated),
        "non_saturating": lambda: _softplus(-generated),
        "hinge": lambda: -generated,
    }
    return values[name]().mean(dim=1)


def discriminator_loss(
    name: str, real: Float[Tensor, "num_envs batch"], generated: Float[Tensor, "num_envs batch"]
) -> Float[Tensor, " num_envs"]:
    """What the discriminator minimises: the mean of its loss on real and on generated images."""
    first, second = (
        (relu(1 - real), relu(1 + generated))
        if name == "hinge"
        else (_softplus(-real), _softplus(generated))
    )
    return (first.mean(dim=1) + second.mean(dim=1)) * 0.5


def classification_error(
    real: Float[Tensor, "num_envs real"], generated: Float[Tensor, "num_envs generated"]
) -> Float[Tensor, " num_envs"]:
    """Mean share of real images that are taken for generated ones, and of generated ones that are
    taken for real.

    A run with odds that are NaN gets NaN.
    """
    missed, fooled = (
        (real <= 0).to(real.dtype).mean(dim=1),
        (generated > 0).to(real.dtype).mean(dim=1),
    )
    known = ~(torch.isnan(real).any(dim=1) | torch.isnan(generated).any(dim=1))
    return torch.where(known, (missed + fooled) * 0.5, torch.nan)


def _softplus(values: Tensor) -> Tensor:
    """log(1 + exp(x)), with slope 1/2 at 0, from operations whose bits do not depend on the batch."""
    size = values.abs()
    return (values + size) * 0.5 + log1p(exp(-size))
