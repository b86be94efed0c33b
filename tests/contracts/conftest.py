"""What tests of every variant need: small data sets, and judges that need no training."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoloss_gym.scoring import classifiers
from autoloss_gym.scoring.classifiers import training
from autoloss_gym.scoring.image_judge import ImageJudge
from tests.support.small_images import write_small_images
from tests.support.small_text import write_small_text


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which every set of images or texts that has a name is small."""
    return write_small_text(write_small_images(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def quick_classifiers() -> Iterator[None]:
    """Classifiers of one step of training, kept apart from those of other tests."""
    quick = {
        kind: dataclasses.replace(recipe, version="quick", sizes=(4, 4, 4), steps=1)
        for kind, recipe in training.RECIPES.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "RECIPES", quick)
        _forget()
        yield
    _forget()


def _forget() -> None:
    classifiers._trained.cache_clear()
    ImageJudge.reference.cache_clear()
