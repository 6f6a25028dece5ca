"""The types of the arrays that stages hand on."""

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
