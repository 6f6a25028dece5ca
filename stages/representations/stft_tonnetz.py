"""The image of `stft` with a chromagram appended."""

from stages.representations.base.chromagram import WithChromagram
from stages.representations.stft import STFT


class STFTTonnetz(WithChromagram):
    """The image of `stft`, then constant-Q chroma, tonnetz and harmonic change."""

    base: STFT
