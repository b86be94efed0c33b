"""NIQE of images by a model of natural images like those of a data set."""

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from autoloss_gym.core.task import Metric
from autoloss_gym.data.files import Stamp, data_path, stamp
from autoloss_gym.data.image_source import ImageSource
from autoloss_gym.data.partition import partition_on
from autoloss_gym.scoring.image_quality import (
    PristineModel,
    check_niqe_images,
    fit_pristine_model,
    load_pristine_model,
    niqe,
)
from autoloss_gym.tools.compiling import graph_constant


@dataclass(frozen=True)
class NaturalJudge:
    """Judges all images of a run together by NIQE.

    Args:
        source: the real images. The model is fitted once to their first training part, that of the
            split "train", and is the same for all splits.
        patch_size: height and width of a patch, in pixels: even, from 8 to those of an image.
        path: NPZ file of a model that takes its place, such as the published one of patches of 96
            (see `load_pristine_model`); None for none.

    Raises:
        ValueError: the images are smaller than a patch, or neither grey nor red, green and blue;
            the patch size is odd or below 8; or the file holds no model.
    """

    source: ImageSource
    patch_size: int
    path: str | None = None
    # Equal judges stand for equal models, also where a file is rewritten.
    written: Stamp = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = self.source.image_shape
        side = min(shape[:2])
        if self.patch_size % 2 or not 8 <= self.patch_size <= side:
            raise ValueError(
                f"niqe_patch={self.patch_size}: images of {shape[0]} × {shape[1]} pixels; expected "
                f"an even number from 8 to {side}, or 0 for no NIQE"
            )
        check_niqe_images(shape, self.patch_size)
        files = [] if self.path is None else [data_path(self.path)]
        object.__setattr__(self, "written", stamp(each for each in files if each.is_file()))
        if files:
            self.model_on("cpu")

    @property
    def metric(self) -> Metric:
        """The figure that `score` returns."""
        return Metric("niqe", worst=1e3)

    @graph_constant(maxsize=8)
    def model_on(self, device: str) -> PristineModel:
        """The model of natural images on a device; it is fitted on the CPU, in seconds.

        Raises:
            ValueError: there are too few images to fit one, or the file was removed.
        """
        if device != "cpu":
            return self.model_on("cpu").to(device)
        if self.path is not None:
            return load_pristine_model(str(data_path(self.path)), self.patch_size)
        images = self.source.load()
        rows = partition_on(len(images.images), images.num_test, "cpu")["controller_train"]
        pixels = self.source.gather(rows[None])[0]
        return fit_pristine_model(pixels.unflatten(1, self.source.image_shape), self.patch_size)

    def score(
        self, images: Float[Tensor, "num_envs images height width channels"]
    ) -> Float[Tensor, " num_envs"]:
        """NIQE of all images of each run, in [0, 1]; NaN where no image has any structure."""
        return niqe(images, self.model_on(str(images.device)))
