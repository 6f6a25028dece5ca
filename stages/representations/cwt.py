"""Continuous wavelet transform: a scalogram of complex Morlet wavelets."""

from typing import Annotated

import numpy as np
import scipy.fft
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from stages.core.arrays import Floats
from stages.core.errors import InputError
from stages.core.params import Number
from stages.representations.base.bands import Bands
from stages.representations.base.pooling import constant

NEGLIGIBLE = 1e-7
"""Share of the peak of a wavelet's spectrum below which values are left out."""

SAMPLES_PER_FRAME = 32
"""Least number of samples of |W|^2 per frame, whose mean over a frame is the image."""


class CWT(Bands):
    """|W|^2 of the wavelets of `rows` frequencies, equally spaced on a log scale, averaged over equal frames.

    The mother wavelet is PyWavelets' `cmorB-C`: psi(t) = exp(2 pi i C t) exp(-t^2 / B) / sqrt(pi B); at scale a, in
    samples, W is the convolution of the waveform with conj(psi(-t / a)) / sqrt(a). By its spectrum,
    sqrt(a) exp(-pi^2 B (a f / sample_rate - C)^2), that is one inverse FFT a row, no longer than the band is wide.
    """

    bandwidth: Annotated[Number, Field(gt=0.1, le=100)]
    centre: Annotated[Number, Field(ge=0.5, le=20)]
    fmin: Annotated[Number, Field(ge=10, le=10_000)]

    def frequencies(self, sample_rate: int) -> Floats:
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

    def module(self, samples: int, sample_rate: int) -> nn.Module:
        """Build the scalogram: images of shape (batch, 1, rows, frames)."""
        return nn.Sequential(ScalogramPower(self, samples, sample_rate), self.decibels())


class ScalogramPower(nn.Module):
    """The mean of |W|^2 over each frame, of each row."""

    def __init__(self, transform: CWT, samples: int, sample_rate: int) -> None:
        """Compute the wavelets' spectra for clips of one length."""
        super().__init__()
        scales = transform.centre * sample_rate / transform.frequencies(sample_rate)
        # At this distance the longest wavelet is exp(-16), so that the clip's end does not reach round to its start.
        margin = int(4 * np.sqrt(transform.bandwidth) * scales.max())
        self.length = scipy.fft.next_fast_len(samples + margin, real=True)
        self.rows = nn.ModuleList(_Row(transform, scale, samples, self.length) for scale in scales)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Transform waveforms, shape (batch, samples), to shape (batch, rows, frames)."""
        # Complex numbers by their parts, since ONNX cuts and pads no others.
        spectra = torch.view_as_real(torch.fft.rfft(waveforms, self.length))
        return torch.stack([row(spectra) for row in self.rows], 1)


class _Row(nn.Module):
    """The mean over each frame of |W|^2 at one scale, by the part of the wavelet's spectrum that is not negligible."""

    response: Tensor
    before: Tensor
    share: Tensor

    def __init__(self, transform: CWT, scale: float, samples: int, length: int) -> None:
        super().__init__()
        reach = np.sqrt(-np.log(NEGLIGIBLE) / transform.bandwidth) / np.pi
        self.first = max(int((transform.centre - reach) / scale * length), 0)
        self.last = min(int((transform.centre + reach) / scale * length) + 1, length // 2 + 1)
        frequency = np.arange(self.first, self.last) / length
        gaussian = np.exp(-(np.pi**2) * transform.bandwidth * (scale * frequency - transform.centre) ** 2)
        least = max(self.last - self.first, SAMPLES_PER_FRAME * transform.frames)
        self.samples = scipy.fft.next_fast_len(least)
        self.register_buffer("response", constant(np.sqrt(scale) * gaussian * (self.samples / length)))
        edges = np.linspace(0, self.samples * samples / length, transform.frames + 1)
        self.register_buffer("before", torch.from_numpy(np.minimum(edges.astype(np.int64), self.samples - 2)))
        self.register_buffer("share", constant(edges - self.before.numpy()))
        self.per_frame = float(1 / edges[1])

    def forward(self, spectra: Tensor) -> Tensor:
        """Filter spectra, shape (batch, length / 2 + 1, 2), to shape (batch, frames)."""
        band = spectra[:, self.first : self.last] * self.response[:, None]
        whole = pad(band, (0, 0, 0, self.samples - (self.last - self.first)))
        filtered = torch.fft.ifft(torch.view_as_complex(whole))
        power = filtered.real.square() + filtered.imag.square()
        return (self._integrals(power).diff() * self.per_frame).to(power.dtype)

    def _integrals(self, power: Tensor) -> Tensor:
        """Integrate power, joined by straight lines, from the start to each edge of a frame: (batch, frames + 1).

        In float64, since a quiet frame after a loud one is the difference of two large numbers.
        """
        wide = power.double()
        trapezoids = wide.cumsum(1) - (wide[:, :1] + wide) / 2
        return torch.lerp(trapezoids[:, self.before], trapezoids[:, self.before + 1], self.share.double())
