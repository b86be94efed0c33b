"""Classifiers that are trained in a moment: they judge like any other, though not well."""

import contextlib
import dataclasses
from collections.abc import Iterator
from unittest import mock

from autoloss_gym.scoring import classifiers
from autoloss_gym.scoring.classifiers import training
from autoloss_gym.scoring.image_judge import ImageJudge


@contextlib.contextmanager
def quick_classifiers(steps: int = 1, width: int = 4) -> Iterator[None]:
    """Within the block, classifiers of so many steps of training with layers of this width.

    They are kept apart from those of other tests.
    """
    changes = {"version": f"quick {steps}", "sizes": (width,) * 3, "steps": steps}
    quick = {
        kind: dataclasses.replace(recipe, **changes) for kind, recipe in training.RECIPES.items()
    }
    with mock.patch.object(training, "RECIPES", quick):
        _forget()
        try:
            yield
        finally:
            _forget()


def _forget() -> None:
    classifiers._trained.cache_clear()
    ImageJudge.reference.cache_clear()
