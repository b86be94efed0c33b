"""Losses of an introspective variational autoencoder (Huang et al. 2018), in two forms.

With KL the divergence of the code that the encoder gives an image, x_r a reconstruction and x_p a
sample, over the images of a mini-batch:

- paper: the hinge is of each image, E [m − KL]₊, the decoder's divergences have the factor α of the
  encoder's hinges, and the reconstruction's error is ½ Σ (x_r − x)².
- released: the hinge is of the mean, [m − E KL]₊, the decoder's divergences have the factor ½
  whatever α is, and the error is Σ (x_r − x)².
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, relu

from autoloss_gym.tools.names import unknown

FORMS = ("paper", "released")
_RELEASED_FACTOR = 0.5  # of the decoder's divergences


def check_form(form: str) -> None:
    """Raise ValueError if there is no form of that name."""
    if form not in FORMS:
        raise ValueError(unknown("form", form, FORMS))


def margin_loss(
    form: str, divergences: Float[Tensor, "num_envs images"], margin: float
) -> Float[Tensor, " num_envs"]:
    """What the encoder loses where images that were made are not a margin away from the prior.

    It is 0, and has no gradient, where all of them are: the hinge is dead.
    """
    if form == "released":
        return relu(margin - divergences.mean(dim=1))
    return relu(margin - divergences).mean(dim=1)


def encoder_adversarial(
    form: str,
    divergences: Sequence[Float[Tensor, "num_envs images"]],
    margin: float,
    alpha: float,
) -> Float[Tensor, " num_envs"]:
    """α Σ of the hinges, over the kinds of images that were made.

    Args:
        form: see the module.
        divergences: of reconstructions and of samples, as images without a gradient.
        margin: m.
        alpha: α.
    """
    hinges = [margin_loss(form, each, margin) for each in divergences]
    return sum(hinges[1:], hinges[0]) * alpha


def decoder_factor(form: str, alpha: float) -> float:
    """The factor of the decoder's divergences: α, or ½ as released."""
    return _RELEASED_FACTOR if form == "released" else alpha


def decoder_adversarial(
    form: str, divergences: Sequence[Float[Tensor, "num_envs images"]], alpha: float
) -> Float[Tensor, " num_envs"]:
    """The sum of the mean divergences of reconstructions and samples, times α, or ½ as released."""
    means = [each.mean(dim=1) for each in divergences]
    return sum(means[1:], means[0]) * decoder_factor(form, alpha)


def reconstruction_loss(
    form: str,
    reconstructions: Float[Tensor, "num_envs images *shape"],
    images: Float[Tensor, "num_envs images *shape"],
) -> Float[Tensor, " num_envs"]:
    """½ Σ (x_r − x)² over the numbers of an image, mean over images; twice that as released."""
    error = (reconstructions - images).flatten(2)
    loss = (error * error).sum(dim=2).mean(dim=1)
    return loss if form == "released" else loss * 0.5


def share_beyond(
    divergences: Float[Tensor, "num_envs images"], margin: float
) -> Float[Tensor, " num_envs"]:
    """Share of images whose divergence is at least the margin: their hinge is 0."""
    return (divergences >= margin).to(divergences.dtype).mean(dim=1)
