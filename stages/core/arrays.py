"""The arrays that stages hand on: their types, and the scale of an image."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Images = npt.NDArray[np.float32]
"""Images of shape (N, 1, height, width), in [0, 1], where nothing else is said."""
Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Strings = npt.NDArray[np.str_]

DYNAMIC_RANGE_DB = 80.0
"""Dynamic range of an image: 0 is this far below the clip's maximum, 1 is the maximum."""
