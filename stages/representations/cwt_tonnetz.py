"""The image of `cwt` with a chromagram appended."""

from stages.representations.base.chromagram import WithChromagram
from stages.representations.cwt import CWT


class CWTTonnetz(WithChromagram):
    """The image of `cwt`, then constant-Q chroma, tonnetz and harmonic change."""

    base: CWT
