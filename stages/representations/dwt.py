"""Discrete wavelet transform: the energies of wavelet packets in the order of their frequencies, as an image."""

from typing import Annotated

import numpy as np
import pywt
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from stages.core.arrays import Floats
from stages.core.params import Count
from stages.representations.base import front_end, rendering
from stages.representations.base.bands import Bands, PooledPower
from stages.representations.base.pooling import constant, pooling, spreading

RENDERING_STEPS = 60
"""Number of corrections of the gains."""

LARGEST_GAIN_DB = 120.0
"""Largest gain: what lies further below the image's floor is digital silence, which no gain raises."""


class DWT(Bands):
    """Squared wavelet packet coefficients, averaged over equal bands and frames, in decibels.

    The packets of one level split 0 to sample_rate / 2 into 2 ** level equal bands; going through them in frequency
    order means undoing the mirroring that each high-pass branch brings (Gray code, Wickerhauser 1994).
    """

    wavelet: str
    level: Annotated[Count, Field(ge=4, le=10)]

    @field_validator("wavelet")
    @classmethod
    def _known(cls, wavelet: str) -> str:
        if wavelet not in (known := pywt.wavelist(kind="discrete")):
            raise ValueError(f"must be a discrete wavelet of PyWavelets: {', '.join(known)}")
        return wavelet

    def module(self, samples: int, sample_rate: int) -> nn.Module:
        """Build the image of wavelet packets: images of shape (batch, 1, rows, frames)."""
        packets = self._packets(samples)
        pooled = PooledPower(pooling(2**self.level, self.rows), pooling(packets.places, self.frames))
        return nn.Sequential(packets, Square(), pooled, self.decibels())

    def render(self, waveforms: Tensor, sample_rate: int, images: Tensor) -> Tensor:
        """Fit gains on the clips' wavelet packets, by iterative proportional fitting (Deming and Stephan 1940).

        What the energies still lack is made up for in the packets that they are means of, again and again. Packets of
        an orthogonal wavelet are free, so that this ends at the image wanted, but for two things that no sound shows:
        an image whose largest bin is below 1, since images are relative to the clip, so that bin is raised; and energy
        where there is digital silence.
        """
        samples = waveforms.shape[1]
        image_of = front_end(self, samples, sample_rate)
        packets, unpacked = self._packets(samples), Unpacked(samples, self.level, *synthesis_filters(self.wavelet))
        rows = constant(spreading(pooling(2**self.level, self.rows)))
        frames = constant(spreading(pooling(packets.places, self.frames)).T)
        wanted = torch.where(images == images.amax((2, 3), keepdim=True), 1.0, images)[:, 0]
        coefficients = packets(waveforms)
        gains, sounds = torch.zeros_like(coefficients), waveforms
        for _ in range(RENDERING_STEPS):
            lacking = self.range_db * (wanted - image_of(sounds)[:, 0])
            gains = (gains + torch.matmul(rows, lacking @ frames)).clamp(-LARGEST_GAIN_DB, LARGEST_GAIN_DB)
            sounds = unpacked(coefficients * 10 ** (gains / 20))
        return rendering.closest(sounds, waveforms)

    def _packets(self, samples: int) -> "WaveletPackets":
        return WaveletPackets(samples, self.level, *analysis_filters(self.wavelet))


def analysis_filters(wavelet: str) -> tuple[Floats, Floats]:
    """Look up the low-pass and the high-pass filter of a wavelet transform, as correlations."""
    bank = pywt.Wavelet(wavelet)
    return np.array(bank.dec_lo[::-1]), np.array(bank.dec_hi[::-1])


def synthesis_filters(wavelet: str) -> tuple[Floats, Floats]:
    """Look up the filters whose transform is the transpose of the inverse: for orthogonal wavelets the same ones."""
    bank = pywt.Wavelet(wavelet)
    return np.array(bank.rec_lo), np.array(bank.rec_hi)


class WaveletPackets(nn.Module):
    """Wavelet packet coefficients in frequency order, of waveforms padded with zeros to a multiple of 2 ** level.

    The transform is taken as periodic, so that it keeps the energy (for orthogonal wavelets). Several levels are one
    bank of 2 ** levels filters at a stride of 2 ** levels. Two such banks, one after the other, take a third of the
    time of all levels in one, and a sixth of that of each level by itself.
    """

    def __init__(self, samples: int, level: int, low: Floats, high: Floats) -> None:
        """Prepare the transform of clips of one length by the filters of one level."""
        super().__init__()
        self.samples, self.missing = samples, -samples % 2**level
        self.places = (samples + self.missing) // 2**level
        """Number of coefficients of a band."""
        first = -(-level // 2)
        self.banks = nn.ModuleList([_Bank(low, high, first), _Bank(low, high, level - first)])

    def forward(self, waveforms: Tensor) -> Tensor:
        """Transform waveforms, shape (batch, samples), to shape (batch, 2 ** level, places)."""
        bands = pad(waveforms, (0, self.missing))[:, None]
        for bank in self.banks:
            bands = _mirrored(bank(bands)).flatten(1, 2)
        return bands


class _Bank(nn.Module):
    """The filters of some levels of wavelet packets in one, at the stride of the last: a strided convolution.

    Its input is cut into stretches of the stride, which take the place of channels, so that it needs no more
    multiplications than there are filter coefficients.
    """

    kernel: Tensor

    def __init__(self, low: Floats, high: Floats, levels: int) -> None:
        super().__init__()
        filters, self.before = _combined(low, high, levels)
        self.stride = 2**levels
        stretches = -(-filters.shape[1] // self.stride)
        self.after = stretches * self.stride - self.before
        whole = np.pad(filters, ((0, 0), (0, stretches * self.stride - filters.shape[1])))
        kernel = constant(whole.reshape(self.stride, stretches, 1, self.stride).transpose(0, 3, 1, 2))
        self.register_buffer("kernel", kernel)

    def forward(self, signals: Tensor) -> Tensor:
        """Filter signals, shape (batch, bands, n), to shape (batch, bands, stride, n / stride)."""
        batch, bands, length = signals.shape
        flat = signals.flatten(0, 1)
        if (reach := max(self.before, self.after)) > length:
            flat = flat.repeat(1, -(-reach // length))  # the filters go round the signal more than once
        longer = pad(flat, (self.before, self.after), mode="circular")
        periodic = longer[:, : self.before + length + self.after]
        stretches = periodic.view(batch * bands, -1, 1, self.stride).permute(0, 3, 1, 2)
        filtered: Tensor = conv2d(stretches, self.kernel)[:, :, : length // self.stride, 0].unflatten(0, (batch, bands))
        return filtered


def _combined(low: Floats, high: Floats, levels: int) -> tuple[Floats, int]:
    """Combine the filters of some levels, in frequency order; shape (2 ** levels, taps), and the taps before 0."""
    combined, before = np.ones((1, 1)), 0
    for level in range(levels):
        pair = np.zeros((2, (len(low) - 1) * 2**level + 1))
        pair[:, :: 2**level] = low, high
        # Every second band runs downwards in frequency: its upper half comes first.
        ordered = (pair if band % 2 == 0 else pair[::-1] for band in range(len(combined)))
        combined = np.array(
            [np.convolve(own, half) for own, halves in zip(combined, ordered, strict=True) for half in halves]
        )
        before += 2**level * (len(low) // 2 - 1)
    return combined, before


def _mirrored(bands: Tensor) -> Tensor:
    """Turn the sub-bands of every second band round, shape (batch, bands, sub-bands, places): those run downwards."""
    if bands.shape[1] == 1:
        return bands
    return torch.stack([bands[:, 0::2], bands[:, 1::2].flip(2)], 2).flatten(1, 2)


class Square(nn.Module):
    """The square of real numbers."""

    def forward(self, coefficients: Tensor) -> Tensor:
        """Square: of the same shape."""
        return coefficients.square()


class Unpacked(nn.Module):
    """The inverse of wavelet packets: the transpose of the transform by the synthesis filters."""

    def __init__(self, samples: int, level: int, low: Floats, high: Floats) -> None:
        """Prepare for clips of one length; filters as `synthesis_filters` gives them."""
        super().__init__()
        self.dual = WaveletPackets(samples, level, low, high)

    def forward(self, coefficients: Tensor) -> Tensor:
        """Compute waveforms, shape (batch, samples), of packets, shape (batch, 2 ** level, places)."""
        silence = coefficients.new_zeros(len(coefficients), self.dual.samples)
        transpose = torch.func.vjp(self.dual, silence)[1]
        waveforms: Tensor = transpose(coefficients)[0]
        return waveforms
