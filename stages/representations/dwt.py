"""Discrete wavelet transform: the energies of wavelet packets in the order of their frequencies, as an image."""

from typing import Annotated, ClassVar

import numpy as np
import pywt
from pydantic import Field, field_validator

from stages.audio import Waveform
from stages.params import Count
from stages.representations import FLOOR_DB, Image, Representation, decibels, pool, spread


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

    def render(self, waveform: Waveform, sample_rate: int, image: Image) -> Waveform:
        """As a gain on the clip's own wavelet packets."""
        coefficients = packets(waveform, self.wavelet, self.level)
        change = FLOOR_DB * (image.astype(np.float64) - self.image(waveform, sample_rate))
        bands, places = coefficients.shape
        gain = 10 ** (spread(spread(change, bands, axis=0), places, axis=1) / 20)
        return unpacked((coefficients * gain).astype(np.float32), self.wavelet)[: len(waveform)]


def packets(waveform: Waveform, wavelet: str, level: int) -> Image:
    """Wavelet packet coefficients in frequency order, shape (2 ** level, ceil(samples / 2 ** level)).

    The waveform is padded with zeros to a multiple of 2 ** level, so that the transform, taken as periodic, keeps its
    energy (for orthogonal wavelets).
    """
    bands = 2**level
    padded = np.pad(waveform, (0, -len(waveform) % bands))
    tree = pywt.WaveletPacket(padded, wavelet, mode="periodization", maxlevel=level)
    return np.stack([node.data for node in tree.get_level(level, order="freq")])


def unpacked(coefficients: Image, wavelet: str) -> Waveform:
    """The waveform of wavelet packets in frequency order, shape (2 ** level, places): the inverse of `packets`."""
    level = len(coefficients).bit_length() - 1
    order = pywt.WaveletPacket(np.zeros(len(coefficients)), wavelet, "periodization", level).get_level(level, "freq")
    tree = pywt.WaveletPacket(None, wavelet, mode="periodization", maxlevel=level)
    for node, values in zip(order, coefficients, strict=True):
        tree[node.path] = values
    rebuilt: Waveform = tree.reconstruct(update=False).astype(np.float32)
    return rebuilt
