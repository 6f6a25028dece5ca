"""Discrete wavelet transform: the energies of wavelet packets in the order of their frequencies, as an image."""

from typing import Annotated, ClassVar

import numpy as np
import pywt
from pydantic import Field, field_validator

from stages.audio import Waveform
from stages.params import Count
from stages.representations import Image, Representation, decibels, pool


class DWT(Representation):
    """Squared wavelet packet coefficients, averaged over equal bands and frames, in decibels below their maximum.

    The packets of one level split 0 to sample_rate / 2 into 2 ** level equal bands; going through them in frequency
    order means undoing the mirroring that each high-pass branch brings (Gray code, Wickerhauser 1994).
    """

    short: ClassVar[str] = "wavelet packets"

    wavelet: str
    level: Annotated[Count, Field(ge=4, le=10)]
    rows: Annotated[Count, Field(ge=16, le=512)]
    frames: Annotated[Count, Field(ge=16, le=512)]

    @field_validator("wavelet")
    @classmethod
    def _known(cls, wavelet: str) -> str:
        if wavelet not in (known := pywt.wavelist(kind="discrete")):
            raise ValueError(f"must be a discrete wavelet of PyWavelets: {', '.join(known)}")
        return wavelet

    def image(self, waveform: Waveform, sample_rate: int) -> Image:
        """Shape (rows, frames), float32 in [0, 1]."""
        coefficients = packets(waveform, self.wavelet, self.level)
        return decibels(pool(pool(coefficients**2, self.rows, axis=0), self.frames, axis=1))


def packets(waveform: Waveform, wavelet: str, level: int) -> Image:
    """Wavelet packet coefficients in frequency order, shape (2 ** level, ceil(samples / 2 ** level)).

    The waveform is padded with zeros to a multiple of 2 ** level, so that the transform, taken as periodic, keeps its
    energy (for orthogonal wavelets).
    """
    bands = 2**level
    padded = np.pad(waveform, (0, -len(waveform) % bands))
    tree = pywt.WaveletPacket(padded, wavelet, mode="periodization", maxlevel=level)
    return np.stack([node.data for node in tree.get_level(level, order="freq")])
