"""What tests of every variant need: small data sets, and judges that need no training."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.quick_classifiers import quick_classifiers
from tests.support.small_images import write_small_images
from tests.support.small_text import write_small_text


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which every set of images or texts that has a name is small."""
    return write_small_text(write_small_images(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module", name="quick_classifiers")
def each_is_quick() -> Iterator[None]:
    with quick_classifiers():
        yield
