"""Sets of images as training runs use them: stored once on a device, and resampled for each run."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from autoloss_gym.core.task import Split
from autoloss_gym.data.files import Stamp
from autoloss_gym.data.image_files import Images
from autoloss_gym.data.images import check_size, data_folder, image_stamp, load_written
from autoloss_gym.data.partition import partition_on, resampled_rows
from autoloss_gym.tools.compiling import graph_constant


@dataclass(frozen=True)
class ImageSource:
    """A set of images by the arguments of `load_images`; what is derived from it is derived once.

    Args:
        dataset, data_dir, size: see `autoloss_gym.data.images.load_images`. Without `data_dir`, the
            environment variable AUTOLOSS_GYM_DATA is read when the source is made, and so are the
            times and sizes of the files: equal sources stand for equal images.
    """

    dataset: str
    data_dir: str | None = None
    size: int = 0
    written: Stamp = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_size(self.size)
        folder = data_folder(self.dataset, self.data_dir)
        object.__setattr__(self, "data_dir", folder)
        object.__setattr__(self, "written", image_stamp(self.dataset, folder))

    def load(self) -> Images:
        """The images and their classes as arrays.

        Raises:
            ValueError: a file cannot be used, or was rewritten after the source was made.
        """
        return load_written(self.dataset, self.data_dir, self.size, self.written)

    @property
    @graph_constant()
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.load().images.shape[1:]
        return height, width, channels

    @property
    @graph_constant()
    def has_labels(self) -> bool:
        """Whether the class of each image is known."""
        return self.load().labels is not None

    @property
    @graph_constant()
    def pixel_variance(self) -> float:
        """Variance of a pixel over the controller's training part, mean over pixels; positive."""
        images = self.load()
        rows = partition_on(len(images.images), images.num_test, "cpu")["controller_train"]
        values = self.gather(rows[None])[0]
        return max(float(values.var(dim=0, correction=0).mean()), 1e-8)

    @graph_constant(maxsize=8)
    def pixels_on(self, device: str) -> Shaped[Tensor, "images pixels"]:
        """All images on a device, one a row and of the type in which they are stored."""
        return torch.from_numpy(self.load().images).flatten(1).to(device)

    @graph_constant(maxsize=8)
    def labels_on(self, device: str) -> Int64[Tensor, " images"]:
        """The classes of all images on a device; only where `has_labels`."""
        labels = self.load().labels
        assert labels is not None
        return torch.from_numpy(labels).to(device)

    def gather(self, rows: Int64[Tensor, "num_envs rows"]) -> Float[Tensor, "num_envs rows pixels"]:
        """The images `rows` of each run, float32 in [0, 1], on the device of the rows."""
        values = self.pixels_on(str(rows.device)).index_select(0, rows.flatten())
        if not values.is_floating_point():
            values = values.to(torch.float32) / 255
        return values.view(*rows.shape, -1)


def resampled_images(
    source: ImageSource,
    keys: Int64[Tensor, " num_envs"],
    split: Split,
    num_samples: int,
    num_held_out: int,
    num_test: int,
) -> dict[str, Int64[Tensor, "num_envs _"]]:
    """Images that each run trains on, is validated on and is scored on, as rows of the source.

    Args:
        source: the images, which all runs share.
        keys: of the problems.
        split: which parts of the partition play these roles.
        num_samples: images that a run trains on, drawn from its training part; 0 for four fifths of
            it.
        num_held_out, num_test: images of the validation and of the test part, fixed, at most.

    Raises:
        ValueError: the training part has fewer than `num_samples` images.
    """
    images = source.load()
    parts = partition_on(len(images.images), images.num_test, str(keys.device))
    rows = resampled_rows(parts, keys, split, num_samples)
    num_training = rows["training"].shape[1]
    if num_samples > num_training:
        raise ValueError(
            f"num_samples={num_samples}: the training part has {num_training} images; "
            "expected at most as many"
        )
    return {
        "training": rows["training"],
        "validation": rows["validation"][:, :num_held_out],
        "test": rows["test"][:, :num_test],
    }
