"""Continuous wavelet transform: a scalogram of complex Morlet wavelets."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import librosa
import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.integrate
from pydantic import Field

from stages.audio.decoding import Waveform
from stages.core.errors import InputError
from stages.core.params import Count, Number
from stages.representations.base import Change, Image, Representation, decibels, interpolate_blocks
from stages.representations.stft import between

NEGLIGIBLE = 1e-7
"""Share of the peak of a wavelet's spectrum below which values are left out."""

SAMPLES_PER_FRAME = 32
"""Least number of samples of |W|^2 per frame, whose mean over a frame is the image."""

RENDERING_WINDOW = 2048
"""Window of the STFT that renders changes, in samples: of the order of the wavelets' length at low frequencies."""


class CWT(Representation):
    """|W|^2 of the wavelets of `rows` frequencies, equally spaced on a log scale, averaged over equal frames.

    The mother wavelet is PyWavelets' `cmorB-C`: psi(t) = exp(2 pi i C t) exp(-t^2 / B) / sqrt(pi B); at scale a, in
    samples, W is the convolution of the waveform with conj(psi(-t / a)) / sqrt(a). By its spectrum,
    sqrt(a) exp(-pi^2 B (a f / sample_rate - C)^2), that is one inverse FFT a row, no longer than the band is wide.
    """

    bandwidth: Annotated[Number, Field(gt=0.1, le=100)]
    centre: Annotated[Number, Field(ge=0.5, le=20)]
    fmin: Annotated[Number, Field(ge=10, le=10_000)]
    rows: Annotated[Count, Field(ge=16, le=512)]
    frames: Annotated[Count, Field(ge=16, le=512)]

    def image(self, waveform: Waveform, sample_rate: int) -> Image:
        """Make the scalogram, shape (rows, frames), float32 in [0, 1]."""
        return decibels(np.stack(list(self.powers(waveform, sample_rate))))

    def frequencies(self, sample_rate: int) -> npt.NDArray[np.float64]:
        """Compute the centre frequency of each row in Hz, up to 0.45 sample_rate.

        Raises:
            InputError: `fmin` is not below 0.45 sample_rate.
        """
        if self.fmin >= 0.45 * sample_rate:
            raise InputError(
                f"representations: `fmin` must be below 0.45 audio.sample_rate = {0.45 * sample_rate:g} Hz, that of "
                f"the last row; found {self.fmin:g}"
            )
        return np.geomspace(self.fmin, 0.45 * sample_rate, self.rows)

    def powers(self, waveform: Waveform, sample_rate: int) -> Iterator[npt.NDArray[np.float64]]:
        """Yield the mean of |W|^2 over each frame, one row at a time, shape (frames,)."""
        length, bands = _bank(self, len(waveform), sample_rate)
        spectrum = scipy.fft.rfft(waveform, length)
        for band in bands:
            part = spectrum[band.first : band.first + len(band.response)] * band.response
            power = np.abs(scipy.fft.ifft(part, band.samples) * (band.samples / length)) ** 2
            yield _means(power, np.linspace(0, band.samples * len(waveform) / length, self.frames + 1))

    def amplified(self, waveform: Waveform, sample_rate: int, change: Change) -> Waveform:
        """Apply the change as a gain on the clip's own STFT, since the wavelets of neighbouring scales overlap."""
        longer = librosa.util.fix_length(waveform, size=max(len(waveform), RENDERING_WINDOW))
        spectrum = librosa.stft(longer, n_fft=RENDERING_WINDOW)
        bins = between(change, self.frequencies(sample_rate), RENDERING_WINDOW, sample_rate)
        gain = librosa.db_to_amplitude(interpolate_blocks(bins, spectrum.shape[1], axis=1))
        rendered: Waveform = librosa.istft((spectrum * gain).astype(np.complex64), length=len(waveform))
        return rendered


@dataclass(frozen=True)
class _Band:
    """The part of a wavelet's spectrum that is not negligible."""

    first: int
    """Bin of the FFT that the part starts at."""
    response: npt.NDArray[np.float32]
    samples: int
    """Number of samples of |W|^2 over the transform's length."""


@lru_cache(maxsize=4)
def _bank(transform: CWT, samples: int, sample_rate: int) -> tuple[int, list[_Band]]:
    """Compute the length of the FFT and the wavelets' spectra, for clips of one length."""
    scales = transform.centre * sample_rate / transform.frequencies(sample_rate)
    # At this distance the longest wavelet is exp(-16), so that the clip's end does not reach round to its start.
    margin = int(4 * np.sqrt(transform.bandwidth) * scales.max())
    length = scipy.fft.next_fast_len(samples + margin, real=True)
    return length, [_band(transform, scale, length) for scale in scales]


def _band(transform: CWT, scale: float, length: int) -> _Band:
    reach = np.sqrt(-np.log(NEGLIGIBLE) / transform.bandwidth) / np.pi
    first = max(int((transform.centre - reach) / scale * length), 0)
    last = min(int((transform.centre + reach) / scale * length) + 1, length // 2 + 1)
    frequency = np.arange(first, last) / length
    gaussian = np.exp(-(np.pi**2) * transform.bandwidth * (scale * frequency - transform.centre) ** 2)
    samples = scipy.fft.next_fast_len(max(last - first, SAMPLES_PER_FRAME * transform.frames))
    return _Band(first, (np.sqrt(scale) * gaussian).astype(np.float32), samples)


def _means(values: npt.NDArray[np.floating], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Average values, joined by straight lines, between neighbouring edges at fractional positions."""
    integral = scipy.integrate.cumulative_trapezoid(values, initial=0)
    means: npt.NDArray[np.float64] = np.diff(np.interp(edges, np.arange(len(values)), integral)) / np.diff(edges)
    return means
