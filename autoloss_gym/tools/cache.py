"""The folder in which the package keeps what took long to make."""

import os
from pathlib import Path

from platformdirs import user_cache_path

CACHE_VARIABLE = "AUTOLOSS_GYM_CACHE"


def cache_folder() -> Path:
    """The folder that AUTOLOSS_GYM_CACHE names, else the user's cache folder of this package."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    return user_cache_path("autoloss_gym", appauthor=False)
