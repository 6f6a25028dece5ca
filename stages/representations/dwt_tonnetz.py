"""The image of `dwt` with a chromagram appended."""

from stages.representations.base.chromagram import WithChromagram
from stages.representations.dwt import DWT


class DWTTonnetz(WithChromagram):
    """The image of `dwt`, then constant-Q chroma, tonnetz and harmonic change."""

    base: DWT
