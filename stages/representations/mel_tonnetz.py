"""The image of `mel` with a chromagram appended."""

from stages.representations.base.chromagram import WithChromagram
from stages.representations.mel import Mel


class MelTonnetz(WithChromagram):
    """The image of `mel`, then constant-Q chroma, tonnetz and harmonic change."""

    base: Mel
