"""What the images of an introspective VAE are worth, and what they look like."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.task import Metric
from autoloss_gym.scoring.image_judge import SLICE, ImageJudge, shared_by_runs
from autoloss_gym.scoring.image_quality import peak_signal_noise_ratio, structural_similarity
from autoloss_gym.scoring.natural_judge import NaturalJudge
from autoloss_gym.tasks.images.image_model_task import real_images, to_pixels
from autoloss_gym.tasks.images.intro_vae_coders import Coders
from autoloss_gym.tools.tree import Parameters

Each = TypeVar("Each")
# What decides: the error of reconstructions, or the first figure of samples.
DECIDING = ("reconstructions", "samples")
# Of each reconstruction, in the order of the columns of `_by_image`.
RECONSTRUCTION_METRICS = (
    Metric("reconstruction_error", worst=1.0),
    Metric("structural_similarity", minimize=False, worst=-1.0),
    Metric("peak_signal_noise_ratio", minimize=False, worst=0.0),
)
# In decibels: a perfect reconstruction, such as one of a black image, is no failed run.
_MOST_DECIBELS = 100.0


def _by_image(
    reconstructions: Float[Tensor, "num_envs images height width channels"],
    originals: Float[Tensor, "num_envs images height width channels"],
) -> Float[Tensor, "num_envs images metrics"]:
    """The columns of `RECONSTRUCTION_METRICS` for each image, both in [0, 1].

    Further measures of an image and its reconstruction belong here and there.
    """
    error = (reconstructions - originals).flatten(2)
    similarity = structural_similarity(reconstructions, originals)
    decibels = peak_signal_noise_ratio(reconstructions, originals).clamp(max=_MOST_DECIBELS)
    return torch.stack([(error * error).mean(dim=2), similarity, decibels], dim=2)


@dataclass(frozen=True)
class Figures:
    """Validation metrics, scores and pictures.

    Args:
        coders: the networks.
        judge: of samples.
        natural_judge: of reconstructions; None for no NIQE.
        decides: whose figure comes first, one of `DECIDING`.
    """

    coders: Coders
    judge: ImageJudge
    natural_judge: NaturalJudge | None = None
    decides: str = DECIDING[0]

    @property
    def validation_metrics(self) -> tuple[Metric, ...]:
        """Of reconstructions all, of samples the first of the judge."""
        return self._ordered((*RECONSTRUCTION_METRICS, self.judge.metrics[0]), 1)

    @property
    def score_metrics(self) -> tuple[Metric, ...]:
        """Of reconstructions and samples all."""
        natural = () if self.natural_judge is None else (self.natural_judge.metric,)
        metrics = (*RECONSTRUCTION_METRICS, *natural, *self.judge.metrics)
        return self._ordered(metrics, len(self.judge.metrics))

    def validation(
        self, parameters: Parameters, data: Any, count: int
    ) -> Float[Tensor, "num_envs metrics"]:
        """The columns of `validation_metrics`, of so many samples."""
        samples = self._samples(parameters, data, "validation", count)
        reference = shared_by_runs(data["references"]["validation"])
        score = self.judge.first_score(samples, reference)
        of_reconstructions = self._of_reconstructions(parameters, data["validation"])
        columns = (*of_reconstructions.unbind(dim=1), score)
        return torch.stack(self._ordered(columns, 1), dim=1)

    def scores(
        self, parameters: Parameters, data: Any, count: int
    ) -> Float[Tensor, "num_envs metrics"]:
        """The columns of `score_metrics`, of so many samples."""
        samples = self._samples(parameters, data, "test", count)
        scores = self.judge.scores(samples, shared_by_runs(data["references"]["test"]))
        of_reconstructions = self._of_reconstructions(parameters, data["test"], self.natural_judge)
        columns = (*of_reconstructions.unbind(dim=1), *scores.unbind(dim=1))
        return torch.stack(self._ordered(columns, scores.shape[1]), dim=1)

    def _ordered(self, figures: tuple[Each, ...], num_of_samples: int) -> tuple[Each, ...]:
        """Figures of reconstructions and then samples, with the one that decides in front."""
        if self.decides == DECIDING[0]:
            return figures
        first = len(figures) - num_of_samples
        return figures[first], *figures[:first], *figures[first + 1 :]

    def side_by_side(
        self, parameters: Parameters, data: Any, count: int
    ) -> Float[Tensor, "num_envs count height _ channels"]:
        """Pictures in [0, 1]: an original of the validation part, its reconstruction and a sample.

        The first ones are the same for every count; where the part has fewer images, they repeat.
        """
        rows = data["validation"][:, :SLICE]
        keys = random.fold_in(data["latents"], "validation")
        # Whole slices, because the bits of an image may depend on the size of its slice.
        num_drawn = math.ceil(count / SLICE) * SLICE
        with torch.no_grad():
            originals = real_images(self.judge.source, rows)
            pairs = torch.cat([originals, self.coders.reconstruct(parameters, originals)], dim=3)
            slices = list(self.coders.sample_slices(parameters, keys, num_drawn))
        repeats = math.ceil(count / rows.shape[1])
        shown = pairs.repeat(1, repeats, 1, 1, 1)[:, :count]
        drawn = torch.cat(slices, dim=1)[:, :count]
        return (torch.cat([shown, drawn], dim=3) + 1) * 0.5

    def _of_reconstructions(
        self,
        parameters: Parameters,
        rows: Int64[Tensor, "num_envs rows"],
        natural_judge: NaturalJudge | None = None,
    ) -> Float[Tensor, "num_envs metrics"]:
        """Means over the images `rows` of each run, and what the judge says of all of them."""
        slices = []
        made = []
        for part in rows.split(SLICE, dim=1):
            originals = real_images(self.judge.source, part)
            both = self.coders.reconstruct(parameters, originals), originals
            pictures = [(each + 1) * 0.5 for each in both]
            slices.append(_by_image(*pictures))
            made.append(pictures[0])
        means = torch.cat(slices, dim=1).mean(dim=1)
        if natural_judge is None:
            return means
        figure = natural_judge.score(torch.cat(made, dim=1))
        return torch.cat([means, figure[:, None]], dim=1)

    def _samples(
        self, parameters: Parameters, data: Any, stream: str, count: int
    ) -> Iterator[Float[Tensor, "num_envs slice pixels"]]:
        keys = random.fold_in(data["latents"], stream)
        return map(to_pixels, self.coders.sample_slices(parameters, keys, count))
