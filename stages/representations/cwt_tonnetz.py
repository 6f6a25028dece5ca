"""The image of `cwt` with a chromagram appended."""

from typing import ClassVar

from stages.representations.base.chromagram import WithChromagram
from stages.representations.cwt import CWT


class CWTTonnetz(WithChromagram):
    """The image of `cwt`, then constant-Q chroma, tonnetz and harmonic change."""

    short: ClassVar[str] = f"{CWT.short} and chromagram"

    base: CWT
