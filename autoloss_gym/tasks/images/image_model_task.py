"""What tasks share whose models make images like those of a data set."""

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from jaxtyping import Float, Int64
from torch import Tensor

from autoloss_gym import random
from autoloss_gym.core.draws import DrawsAhead
from autoloss_gym.core.gradient_task import GradientTask
from autoloss_gym.core.task import ImageTask, Keys, Split
from autoloss_gym.data.image_source import ImageSource, resampled_images
from autoloss_gym.scoring.image_judge import ImageJudge
from autoloss_gym.tools.bounds import NonNegativeFloat, NonNegativeInt, PositiveInt, at_least


@dataclass(frozen=True, kw_only=True)
class ImageModelTask(DrawsAhead, GradientTask, ImageTask):
    """A task of two convolutional networks that learn to make images like those of a data set.

    The arguments are those that the documentation of each such task explains.
    """

    instances: ClassVar[str] = "resamples"
    runs_at_once: ClassVar[int] = 16

    dataset: str = "digits"
    data_dir: str | None = None
    size: NonNegativeInt = 0
    filters: PositiveInt = 16
    latent_size: PositiveInt = 16
    kernel_size: int = 4
    weight_deviation: NonNegativeFloat = 0.0
    num_samples: NonNegativeInt = 0
    batch_size: Annotated[int, at_least(2)] = 32
    num_held_out: Annotated[int, at_least(2)] = 256
    num_test: Annotated[int, at_least(2)] = 350
    max_steps: PositiveInt = 1000
    validate_every: PositiveInt = 50
    collapse_repeats: int = 200
    collapse_share: float = 0.3

    @functools.cached_property
    def source(self) -> ImageSource:
        """The real images."""
        return ImageSource(self.dataset, self.data_dir, self.size)

    @functools.cached_property
    def judge(self) -> ImageJudge:
        """The judge of images of this data set."""
        return ImageJudge(self.source)

    def real_data_scores(self, split: Split = "test") -> tuple[int, dict[str, float]]:
        """The number and the scores of real images: `num_test`, or all that a run trains on."""
        return self.judge.real_scores(split, self.num_test)

    def remarks(self, split: Split) -> tuple[str, ...]:
        count, scores = self.real_data_scores(split)
        figures = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
        return f"Real data ({count:,}): {figures}", *self.source.load().remarks

    @property
    def data_digest(self) -> str:
        return self.source.load().digest

    def image_data(self, keys: Keys) -> dict[str, Any]:
        """What a run needs of images.

        They are the rows of the source that it trains on, is validated on and is scored on, by
        part, (num_envs, rows), int64; "latents", the keys of its latent numbers, (num_envs,),
        int64; and "references", the moments of real images that its own are compared with.
        """
        sizes = self.num_samples, self.num_held_out, self.num_test
        rows = resampled_images(self.source, keys.problem, keys.split, *sizes)
        references = {
            "validation": self.judge.references(keys, "validation", self.num_held_out),
            "test": self.judge.references(keys, "test", self.num_test),
        }
        return {**rows, "latents": random.fold_in(keys.run, "latents"), "references": references}

    def drawn_images(self, data: Any, keys: Int64[Tensor, " rows"]) -> Int64[Tensor, "rows batch"]:
        """Numbers of the training images of mini-batches, drawn with replacement."""
        count = data["training"].shape[1]
        return random.integers(random.fold_in(keys, "images"), (self.batch_size,), count)


def check_images(source: ImageSource, sizes: Collection[int], expected: str) -> None:
    """Check that the networks can take and make images of this size.

    Args:
        source: the images.
        sizes: heights and widths that they can.
        expected: these in words.

    Raises:
        ValueError: they cannot, or the images cannot be loaded.
    """
    if source.size not in (0, *sizes):
        raise ValueError(
            f"size={source.size}: expected {expected}, or 0 to leave the images as they are"
        )
    height, width, _ = source.image_shape
    if height != width or height not in sizes:
        raise ValueError(
            f"dataset={source.dataset!r}: images of {height} × {width} pixels; "
            f"expected squares of {expected}; give size=… to resize them"
        )


def real_images(
    source: ImageSource, rows: Int64[Tensor, "num_envs rows"]
) -> Float[Tensor, "num_envs rows height width channels"]:
    """The images `rows` of each run in [-1, 1], as networks take and make them."""
    return (source.gather(rows) * 2 - 1).unflatten(2, source.image_shape)


def to_pixels(
    images: Float[Tensor, "num_envs images height width channels"],
) -> Float[Tensor, "num_envs images pixels"]:
    """Images in [-1, 1] as rows of pixels in [0, 1]."""
    return ((images + 1) * 0.5).flatten(2)
