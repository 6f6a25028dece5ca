"""The image of `dwt` with a chromagram appended."""

from typing import ClassVar

from stages.representations.base.chromagram import WithChromagram
from stages.representations.dwt import DWT


class DWTTonnetz(WithChromagram):
    """The image of `dwt`, then constant-Q chroma, tonnetz and harmonic change."""

    short: ClassVar[str] = f"{DWT.short} and chromagram"

    base: DWT
