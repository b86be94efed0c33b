"""The losses of an introspective VAE's players and their parts, with the figures that they record.

Each returns its values (num_envs,) and what it changes of the buffers below.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.loss import BUFFERS, Buffers
from autoloss_gym.core.task import Pair
from autoloss_gym.losses import variational
from autoloss_gym.networks.variational import Code, divergence, reparametrised
from autoloss_gym.tasks.images.intro_vae_coders import Coders
from autoloss_gym.tools.names import unknown
from autoloss_gym.tools.tree import Parameters

Result = tuple[Float[Tensor, " num_envs"], Buffers]
# Whose turn it is, or the parts of both players' losses, weighed within one step.
ARMS = {
    "players": (
        Pair("encoder_loss", ("encoder",), cheap=False),
        Pair("decoder_loss", ("decoder",), cheap=False),
    ),
    "parts": (
        Pair("reconstruction", ("encoder", "decoder"), cheap=False),
        Pair("divergence", ("encoder",), cheap=False),
        Pair("encoder_adversarial", ("encoder",), cheap=False),
        Pair("decoder_adversarial", ("decoder",), cheap=False),
    ),
}
# Weights of the parts that belong together: those of 1, α and β.
GROUPS = {
    "players": (("encoder_loss",), ("decoder_loss",)),
    "parts": (
        ("divergence",),
        ("encoder_adversarial", "decoder_adversarial"),
        ("reconstruction",),
    ),
}
# Codes whose mean divergence is under this share of the margin say nothing about their images.
_EMPTY = 0.01


@dataclass(frozen=True)
class Losses:
    """The losses of many runs.

    The buffers, all of the latest mini-batch for which they were computed:

    - `real` (num_envs,): mean divergence of the codes of real images;
    - `made` (num_envs, 2): the same of reconstructions and of samples;
    - `beyond` (num_envs, 2): shares of these beyond the margin;
    - `empty`, `dead` (num_envs,), int64: evaluations of the encoder's losses in a row in which the
      codes of real images said nothing, and in which the hinges of all images were 0.

    Args:
        coders: the networks.
        form: see `autoloss_gym.losses.variational`.
        margin: m.
        alpha: α.
        beta: β, for errors that are summed over the numbers of an image.
    """

    coders: Coders
    form: str
    margin: float
    alpha: float
    beta: float

    @staticmethod
    def check(arms: str, form: str) -> None:
        """Raise ValueError unless there are such arms and such a form."""
        if arms not in ARMS:
            raise ValueError(unknown("arms", arms, ARMS))
        variational.check_form(form)

    @property
    def coefficients(self) -> dict[str, float]:
        """What each part's loss was multiplied by, by its name."""
        return {
            "reconstruction": self.beta,
            "divergence": 1.0,
            "encoder_adversarial": self.alpha,
            "decoder_adversarial": variational.decoder_factor(self.form, self.alpha),
        }

    def noise(self, keys: Int64[Tensor, " rows"], count: int) -> dict[str, Tensor]:
        """What a batch of `count` images needs beside them, (rows, count, latent numbers) each.

        They are the noise of the codes' draws, and the latent numbers of samples, "prior".
        """
        return {
            "noise": self.coders.prior(random.fold_in(keys, "code"), count),
            "prior": self.coders.prior(random.fold_in(keys, "prior"), count),
        }

    def encoder_loss(self, parameters: Parameters, batch: Any) -> Result:
        """KL(z) + α Σ hinges + β L_AE; the images in the hinges have no gradient."""
        code = self.coders.encode(parameters, batch["images"])
        values, changed = self._prior_loss(parameters, code)
        reconstructions = self._reconstructions(parameters, batch, code)
        adversarial, more = self._hinges(parameters, batch, reconstructions)
        error = self._error(reconstructions, batch)
        return values + adversarial + error, {**changed, **more}

    def decoder_loss(self, parameters: Parameters, batch: Any) -> Result:
        """α Σ KL + β L_AE, or ½ Σ KL + β L_AE as released; for the decoder alone."""
        code = self.coders.encode(parameters, batch["images"])
        adversarial, changed, reconstructions = self._fooling(parameters, batch, code)
        return adversarial + self._error(reconstructions, batch), changed

    def reconstruction(self, parameters: Parameters, batch: Any) -> Result:
        """β L_AE, for both; it changes no buffer."""
        code = self.coders.encode(parameters, batch["images"])
        return self._error(self._reconstructions(parameters, batch, code), batch), {}

    def divergence(self, parameters: Parameters, batch: Any) -> Result:
        """KL(z), for the encoder."""
        return self._prior_loss(parameters, self.coders.encode(parameters, batch["images"]))

    def encoder_adversarial(self, parameters: Parameters, batch: Any) -> Result:
        """α Σ hinges, for the encoder."""
        with torch.no_grad():
            code = self.coders.encode(parameters, batch["images"])
            reconstructions = self._reconstructions(parameters, batch, code)
        return self._hinges(parameters, batch, reconstructions)

    def decoder_adversarial(self, parameters: Parameters, batch: Any) -> Result:
        """α Σ KL, or ½ Σ KL as released, for the decoder alone."""
        code = self.coders.encode(parameters, batch["images"])
        values, changed, _ = self._fooling(parameters, batch, code)
        return values, changed

    def measured(self, parameters: Parameters, batch: Any) -> dict[str, Tensor]:
        """All buffers of runs that have not been trained yet."""
        with torch.no_grad():
            code = self.coders.encode(parameters, batch["images"])
            reconstructions = self._reconstructions(parameters, batch, code)
            of_made = self.coders.divergences(
                parameters, reconstructions, self._samples(parameters, batch)
            )
            real = divergence(code).mean(dim=1)
            counts = torch.zeros_like(real, dtype=torch.int64)
        return {"real": real, "empty": counts, "dead": counts.clone()} | self._figures(of_made)

    def _prior_loss(self, parameters: Parameters, code: Code) -> Result:
        values = divergence(code).mean(dim=1)
        real = values.detach()
        empty = _in_a_row(parameters[BUFFERS]["empty"], real < _EMPTY * self.margin)
        return values, {"real": real, "empty": empty}

    def _hinges(self, parameters: Parameters, batch: Any, reconstructions: Tensor) -> Result:
        samples = self._samples(parameters, batch).detach()
        of_made = self.coders.divergences(parameters, reconstructions.detach(), samples)
        hinges = variational.encoder_adversarial(self.form, of_made, self.margin, 1.0)
        dead = _in_a_row(parameters[BUFFERS]["dead"], hinges.detach() == 0)
        return hinges * self.alpha, {**self._figures(of_made), "dead": dead}

    def _fooling(
        self, parameters: Parameters, batch: Any, code: Code
    ) -> tuple[Float[Tensor, " num_envs"], Buffers, Tensor]:
        """The decoder's adversarial loss, what it changes, and the reconstructions."""
        latents = reparametrised(batch["noise"], code)
        images = self.coders.decode(parameters, torch.cat([latents, batch["prior"]], dim=1))
        reconstructions, samples = images.chunk(2, dim=1)
        of_made = self.coders.divergences(parameters, reconstructions, samples)
        values = variational.decoder_adversarial(self.form, of_made, self.alpha)
        return values, self._figures(of_made), reconstructions

    def _reconstructions(self, parameters: Parameters, batch: Any, code: Code) -> Tensor:
        latents = reparametrised(batch["noise"], code)
        return self.coders.decode(parameters, latents)

    def _samples(self, parameters: Parameters, batch: Any) -> Tensor:
        return self.coders.decode(parameters, batch["prior"])

    def _error(self, reconstructions: Tensor, batch: Any) -> Float[Tensor, " num_envs"]:
        """β L_AE of pixels in [0, 1], whose errors are half of those in [-1, 1]."""
        halves = reconstructions * 0.5, batch["images"] * 0.5
        return variational.reconstruction_loss(self.form, *halves) * self.beta

    def _figures(self, of_made: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The buffers `made` and `beyond` from divergences of reconstructions and samples."""
        found = [each.detach() for each in of_made]
        beyond = [variational.share_beyond(each, self.margin) for each in found]
        return {
            "made": torch.stack([each.mean(dim=1) for each in found], dim=1),
            "beyond": torch.stack(beyond, dim=1),
        }


def _in_a_row(counts: Tensor, again: Bool[Tensor, " num_envs"]) -> Tensor:
    """One more where it is so again, else 0."""
    return torch.where(again, counts + 1, 0)


def features(buffers: Buffers, margin: float) -> Float[Tensor, "num_envs 5"]:
    """Shares beyond the margin, and divergences κ as κ / (κ + m), which is ½ at the margin m.

    In the order: shares of reconstructions and samples; divergences of real images,
    reconstructions and samples. Each is within [0, 1].
    """
    divergences = torch.cat([buffers["real"][:, None], buffers["made"]], dim=1)
    # As 1 − m / (κ + m), which is 1 where κ is infinite.
    bounded = 1 - margin / (divergences.clamp(min=0) + margin)
    return torch.cat([buffers["beyond"], bounded], dim=1)


def has_collapsed(buffers: Buffers, limit: int, alpha: float) -> Bool[Tensor, " num_envs"] | None:
    """Runs whose codes said nothing, or whose hinges were 0, at so many measurements in a row.

    Args:
        buffers: see `Losses`.
        limit: that number; 0 for none, and None as the answer.
        alpha: of the hinges, which do not matter where it is 0.
    """
    if not limit:
        return None
    is_empty = buffers["empty"] >= limit
    return is_empty | (buffers["dead"] >= limit) if alpha else is_empty
