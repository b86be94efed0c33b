"""Where the checkout and the data sets are."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("AUTOLOSS_GYM_DATA") or ROOT.parent / "shared" / "data")
