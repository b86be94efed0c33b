"""Scores of generated and of real images: inception score, Fréchet distance and diversity."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from autoloss_gym.core.task import Keys, Metric, Split
from autoloss_gym.data.image_source import ImageSource, resampled_images
from autoloss_gym.scoring.classifiers import Classifier, load_classifier
from autoloss_gym.scoring.sample_scores import (
    Moments,
    diversity,
    frechet_distance,
    inception_score,
    moments,
)
from autoloss_gym.tools.compiling import graph_constant

SLICE = 256  # images of a run that are judged together: more would leave the caches
_COARSE = 8  # height and width to which images without labels are averaged


@dataclass(frozen=True)
class ImageJudge:
    """Judges images by the classifier of a data set.

    Where the images have labels, the features are those of a convolutional classifier trained on
    the data set's images (`autoloss_gym.scoring.classifiers`): scores of different data sets, or of
    Inception-v3, are not comparable. Where they have none, the features are the pixels of the image
    averaged to at most 8 × 8, and there is no inception score.

    Generated images come in slices (num_envs, up to 256 images, pixels), in [0, 1]. All scores
    depend on the number of images, which must be the same for all that are compared.

    Args:
        source: the data set.
    """

    source: ImageSource

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The figures of `scores`; the first decides."""
        metrics = (
            Metric("frechet_distance", worst=1e6),
            Metric("diversity", minimize=False, worst=0.0),
        )
        if not self.source.has_labels:
            return metrics
        return (Metric("inception_score", minimize=False, worst=1.0), *metrics)

    def first_score(
        self, slices: Iterable[Tensor], reference: Moments
    ) -> Float[Tensor, " num_envs"]:
        """The first of `scores` alone."""
        if not self.source.has_labels:
            return self.scores(slices, reference)[:, 0]
        classifier = self._classifier(str(reference.mean.device))
        probabilities = [classifier.probabilities(images) for images in slices]
        return inception_score(torch.cat(probabilities, dim=1))

    def scores(
        self, slices: Iterable[Tensor], reference: Moments
    ) -> Float[Tensor, "num_envs metrics"]:
        """The columns of `metrics`.

        Args:
            slices: generated images, judged one slice after the other.
            reference: moments of the features of real images.
        """
        feature_slices = []
        probability_slices = []
        for images in slices:
            features = self._features(images)
            feature_slices.append(features)
            if self.source.has_labels:
                probability_slices.append(self._probabilities(features))

        features = torch.cat(feature_slices, dim=1)
        columns = [frechet_distance(features, reference), diversity(features, reference)]
        if self.source.has_labels:
            columns.insert(0, inception_score(torch.cat(probability_slices, dim=1)))
        return torch.stack(columns, dim=1)

    # The cache holds the judge, which is three short arguments.
    @graph_constant(maxsize=32)
    def reference(self, split: Split, part: str, most: int, device: str) -> Moments:
        """Moments of the features of real images, on a device.

        Args:
            split, part: the images are those of the "validation" or "test" part of a split.
            most: number of images, the first ones of the part, at most.
            device: where the moments shall lie. They are computed on the CPU, so that all devices
                compare with the same numbers.
        """
        rows = resampled_images(self.source, _any_key(), split, 0, most, most)[part]
        slices = [self._features(self.source.gather(each)) for each in rows.split(SLICE, dim=1)]
        found = moments(torch.cat(slices, dim=1)[0])
        return Moments(
            mean=found.mean.to(device),
            covariance=found.covariance.to(device),
            root=found.root.to(device),
        )

    def references(self, keys: Keys, part: str, most: int) -> dict[str, Tensor]:
        """The moments of `reference` for the split of the keys, by name.

        They have a leading dimension of runs, as data of a run must, and are stored once.
        """
        shared = self.reference(keys.split, part, most, str(keys.run.device))
        num_envs = len(keys.run)
        return {name: leaf.expand(num_envs, *leaf.shape) for name, leaf in vars(shared).items()}

    def real_scores(self, split: Split, count: int) -> tuple[int, dict[str, float]]:
        """Scores of real images, measured as those of generated ones.

        Of the split "train", the classifier was trained on these images.

        Returns:
            The number of images, which is `count`, or four fifths of the training part where that
            is fewer; and the scores by name.
        """
        rows = resampled_images(self.source, _any_key(), split, 0, count, count)
        images = self.source.gather(rows["training"][:, :count])
        reference = self.reference(split, "test", count, "cpu")
        scores = self.scores(images.split(SLICE, dim=1), reference)
        names = [metric.name for metric in self.metrics]
        return images.shape[1], dict(zip(names, scores[0].tolist(), strict=True))

    def _classifier(self, device: str) -> Classifier:
        return load_classifier(self.source, device, kind="convolutional")

    def _features(
        self, images: Float[Tensor, "num_envs rows pixels"]
    ) -> Float[Tensor, "num_envs rows features"]:
        if self.source.has_labels:
            return self._classifier(str(images.device)).features(images)
        height, width, _ = self.source.image_shape
        pictures = images.unflatten(2, self.source.image_shape)
        channels_first = pictures.permute(0, 1, 4, 2, 3).flatten(0, 1)
        coarse = adaptive_avg_pool2d(channels_first, (min(height, _COARSE), min(width, _COARSE)))
        return coarse.reshape(*images.shape[:2], -1)

    def _probabilities(
        self, features: Float[Tensor, "num_envs rows features"]
    ) -> Float[Tensor, "num_envs rows classes"]:
        """Of each class, from the features of images."""
        logits = self._classifier(str(features.device)).dense(-1, features)
        return torch.softmax(logits, dim=2)


def _any_key() -> Tensor:
    """The key of one run."""
    return torch.zeros(1, dtype=torch.int64, device="cpu")


def shared_by_runs(references: Mapping[str, Tensor]) -> Moments:
    """The moments of which `ImageJudge.references` gave each run its own."""
    return Moments(**{name: leaf[0] for name, leaf in references.items()})
