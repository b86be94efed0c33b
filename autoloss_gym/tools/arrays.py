"""Arrays from what a caller may hand over."""

from typing import Any

import numpy as np
from torch import Tensor


def on_host(values: Any) -> np.ndarray | None:
    """A tensor on any device, an array, or numbers in lists, as an array.

    None where there is no such array: lists of different lengths, or a type that NumPy lacks.
    """
    try:
        return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    except Exception:  # the values may be objects of the user's, which may raise anything
        return None
