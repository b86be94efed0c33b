"""How good generated images are: inception score, Fréchet distance and diversity, beside those of
real images.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from autoloss_gym.core.task import Metric, Split
from autoloss_gym.data import partition as datasets
from autoloss_gym.data.images import data_folder, load_images
from autoloss_gym.scoring.classifiers import Classifier, load_classifier
from autoloss_gym.scoring.sample_scores import (
    Moments,
    diversity,
    frechet_distance,
    inception_score,
    moments,
)

SLICE = 256  # images of a run that are judged together: more would leave the caches
_COARSE = 8  # height and width to which images without labels are averaged


@dataclass(frozen=True)
class ImageJudge:
    """Judges images by the classifier of a data set.

    Where the images have labels, the features are those of a convolutional classifier trained on
    the data set's images (`autoloss_gym.scoring.classifiers`): scores of different data sets, or of
    Inception-v3, are not comparable. Where they have none, the features are the pixels of the image
    averaged to at most 8 × 8, and there is no inception score.

    Args:
        dataset, data_dir, size: of `autoloss_gym.data.images.load_images`.
    """

    dataset: str
    data_dir: str | None = None
    size: int = 0

    @property
    def has_labels(self) -> bool:
        return datasets.has_labels(self.dataset, self.data_dir, self.size)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What `scores` measures; the first decides."""
        others = (
            Metric("frechet_distance", worst=1e6),
            Metric("diversity", minimize=False, worst=0.0),
        )
        return (
            (Metric("inception_score", minimize=False, worst=1.0), *others)
            if self.has_labels
            else others
        )

    def first_score(
        self, make: Callable[[int, int], Tensor], count: int, reference: Moments
    ) -> Float[Tensor, " num_envs"]:
        """The first of `scores` alone."""
        if not self.has_labels:
            return self.scores(make, count, reference)[:, 0]
        classifier = self._classifier(str(reference.mean.device))
        slices = [classifier.probabilities(make(first, last)) for first, last in _slices(count)]
        return inception_score(torch.cat(slices, dim=1))

    def scores(
        self, make: Callable[[int, int], Tensor], count: int, reference: Moments
    ) -> Float[Tensor, "num_envs metrics"]:
        """The columns of `metrics` for `count` images.

        Args:
            make: (first, last) → images first … last − 1 of each run, (num_envs, images, pixels),
                in [0, 1].
            count: number of images, the same for all that are compared: all three figures depend on
                it.
            reference: moments of the features of real images.
        """
        parts = [self._features(make(first, last)) for first, last in _slices(count)]
        features, *probabilities = (torch.cat(each, dim=1) for each in zip(*parts, strict=True))
        columns = [frechet_distance(features, reference), diversity(features, reference)]
        if probabilities:
            columns.insert(0, inception_score(probabilities[0]))
        return torch.stack(columns, dim=1)

    def reference(self, split: Split, part: str, most: int, device: str) -> Moments:
        """Moments of the features of the first `most` real images of a part ("validation" or
        "test") of a split.
        """
        return _reference(self, data_folder(self.data_dir), split, part, most, device)

    def real_scores(self, split: Split, count: int) -> tuple[int, dict[str, float]]:
        """The scores of `count` real images of the training part, or of four fifths of it where
        that is fewer.

        They are measured as those of generated images. Of the split "train", the classifier was
        trained on these images.
        """
        images = load_images(self.dataset, self.data_dir, self.size)
        rows = datasets.resampled_images(
            images, torch.zeros(1, dtype=torch.int64), split, 0, count, count
        )
        pixels = self._pixels(rows["training"][:, :count])
        reference = self.reference(split, "test", count, "cpu")
        scores = self.scores(lambda first, last: pixels[:, first:last], pixels.shape[1], reference)
        return pixels.shape[1], {
            metric.name: value
            for metric, value in zip(self.metrics, scores[0].tolist(), strict=True)
        }

    def _classifier(self, device: str) -> Classifier:
        return load_classifier(self.dataset, self.data_dir, self.size, device, kind="convolutional")

    def _pixels(
        self, rows: Int64[Tensor, "num_envs rows"]
    ) -> Float[Tensor, "num_envs rows pixels"]:
        return datasets.gather(
            datasets.pixels_on(self.dataset, self.data_dir, self.size, str(rows.device)), rows
        )

    def _features(self, images: Float[Tensor, "num_envs rows pixels"]) -> tuple[Tensor, ...]:
        """Features (num_envs, rows, features), and where there are classes their probabilities
        (num_envs, rows, classes).
        """
        if self.has_labels:
            classifier = self._classifier(str(images.device))
            features = classifier.features(images)
            return features, torch.softmax(classifier.dense(-1, features), dim=2)
        height, width, channels = datasets.image_shape(self.dataset, self.data_dir, self.size)
        channels_first = (
            images.unflatten(2, (height, width, channels)).permute(0, 1, 4, 2, 3).flatten(0, 1)
        )
        coarse = adaptive_avg_pool2d(channels_first, (min(height, _COARSE), min(width, _COARSE)))
        return (coarse.reshape(*images.shape[:2], -1),)


def _slices(count: int) -> list[tuple[int, int]]:
    return [(first, min(first + SLICE, count)) for first in range(0, count, SLICE)]


@functools.lru_cache(maxsize=32)
def _reference(
    judge: ImageJudge, folder: str | None, split: Split, part: str, most: int, device: str
) -> Moments:
    images = load_images(judge.dataset, judge.data_dir, judge.size)
    rows = datasets.resampled_images(
        images, torch.zeros(1, dtype=torch.int64), split, 0, most, most
    )[part]
    features = [judge._features(judge._pixels(each))[0][0] for each in rows.split(SLICE, dim=1)]
    found = moments(
        torch.cat(features)
    )  # on the CPU, so that all devices compare with the same numbers
    return Moments(**{name: leaf.to(device) for name, leaf in vars(found).items()})
