"""Constant-Q transform: every filter at once, at the frames alone."""

import librosa
import numpy as np
import numpy.typing as npt
import scipy.fft
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from stages.core.arrays import Floats
from stages.representations.base.pooling import constant

LOWEST = float(librosa.note_to_hz("C1"))
"""Frequency of the first bin, in Hz."""

Spectrum = npt.NDArray[np.complex128]

BINS_PER_OCTAVE = 36

NEGLIGIBLE = 1e-4
"""Share of the peak of a filter's spectrum below which values are left out."""

SIDELOBES = 20
"""Distance from a Hann window's peak, over the inverse of its length, where its spectrum is negligible for sure."""


class ConstantQ(nn.Module):
    """The transform as librosa defines it (Schoerkhuber and Klapuri 2010), its filters normalised in L1.

    The spectrum of a bin's output is the clip's spectrum times the filter's. At every hop-th sample alone the output
    has a spectrum of as many points as there are frames: the longer spectrum folded, by adding what lies that far
    apart. So product and folding are one matrix for each point, of an octave's filters by the part of the clip's
    spectrum that they see, and no rate is halved on the way.
    """

    def __init__(self, samples: int, sample_rate: int, hop_length: int, octaves: int) -> None:
        """Compute the filters' spectra.

        Args:
            samples: number of samples of a clip.
            sample_rate: sample rate in Hz.
            hop_length: number of samples between frames.
            octaves: number of octaves from C1; bins at half the sample rate and above are 0.
        """
        super().__init__()
        self.hop_length, self.frames = hop_length, 1 + samples // hop_length
        frequencies = librosa.cqt_frequencies(octaves * BINS_PER_OCTAVE, fmin=LOWEST, bins_per_octave=BINS_PER_OCTAVE)
        lengths = _lengths(frequencies, sample_rate)
        # Half a filter after the clip's end: no frame sees round to the clip's other end.
        self.blocks = scipy.fft.next_fast_len(-(-(samples + int(lengths.max()) // 2 + 1) // hop_length))
        size = self.blocks * hop_length
        filters = [_response(f / sample_rate, n, size) for f, n in zip(frequencies, lengths, strict=True)]
        starts = range(0, len(filters), BINS_PER_OCTAVE)
        self.octaves = nn.ModuleList(_Octave(filters[i : i + BINS_PER_OCTAVE], self.blocks) for i in starts)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Transform waveforms, shape (batch, samples), to shape (batch, 36 * octaves, 1 + samples // hop), complex."""
        spectra = torch.fft.rfft(waveforms, self.blocks * self.hop_length)
        folded = torch.cat([octave(spectra) for octave in self.octaves], 1)
        outputs: Tensor = torch.fft.ifft(folded)[..., : self.frames] / self.hop_length
        return outputs


class _Octave(nn.Module):
    """The filters of an octave, by the stretch of the clip's spectrum that any of them sees."""

    response: Tensor

    def __init__(self, filters: list[tuple[int, Spectrum]], blocks: int) -> None:
        """Put the filters' spectra, and the bins that they start at, into one matrix for each of the points."""
        super().__init__()
        self.blocks = blocks
        self.first = min(first for first, _ in filters) // blocks * blocks
        end = max(first + len(response) for first, response in filters)
        self.folds = -(-(end - self.first) // blocks)
        matrices = np.zeros((len(filters), self.folds * blocks), np.complex128)
        for row, (first, response) in zip(matrices, filters, strict=True):
            row[first - self.first :][: len(response)] = response
        parts = np.stack([matrices.real, matrices.imag], 1).reshape(len(filters), 2, self.folds, blocks)
        self.register_buffer("response", constant(parts.transpose(3, 2, 0, 1)))

    def forward(self, spectra: Tensor) -> Tensor:
        """Filter and fold spectra, shape (batch, size / 2 + 1), to shape (batch, filters, blocks), complex."""
        # Complex numbers by their parts, which go through conversions and exports as any other numbers do.
        seen = torch.view_as_real(spectra)[:, self.first : self.first + self.folds * self.blocks]
        whole = pad(seen, (0, 0, 0, self.folds * self.blocks - seen.shape[1])).unflatten(1, (self.folds, self.blocks))
        products = torch.einsum("bqrx,rqfy->bfrxy", whole, self.response)
        (rr, ri), (ir, ii) = (part.unbind(-1) for part in products.unbind(-2))
        return torch.complex(rr - ii, ri + ir)


def _lengths(frequencies: Floats, sample_rate: int) -> Floats:
    """Compute the lengths of the filters' windows, in samples: as many oscillations in each."""
    ratio = 2 ** (2 / BINS_PER_OCTAVE)
    lengths: Floats = (ratio + 1) / (ratio - 1) * sample_rate / frequencies
    return lengths


def _response(frequency: float, length: float, size: int) -> tuple[int, Spectrum]:
    """Compute a filter's spectrum where it is not negligible, and the bin that it starts at.

    Args:
        frequency: frequency of the filter, in cycles per sample.
        length: length of its Hann window, in samples.
        size: size of the FFT.
    """
    if frequency >= 0.5:
        return size // 2, np.zeros(0, np.complex128)
    reach = int(length / 2)
    # In a short clip's FFT a filter that goes round meets itself: what is covered meets no frame.
    start = max(-reach, reach - size + 1)
    width = size if start > -reach else int(SIDELOBES * size / length)
    centre = int(frequency * size)
    bins = np.arange(max(centre - width, 0), min(centre + width, size // 2) + 1)
    weight = np.sqrt(length) / _hann(np.zeros(1), length, -reach, reach).real
    spectrum = weight * _hann(2 * np.pi * (bins / size - frequency), length, start, reach)
    kept = np.flatnonzero(np.abs(spectrum) > NEGLIGIBLE * np.abs(spectrum).max())
    return int(bins[kept[0]]), spectrum[kept[0] : kept[-1] + 1]


def _hann(angles: Floats, length: float, start: int, stop: int) -> Spectrum:
    """Compute the spectrum of a Hann window, centred at 0, from `start` to `stop`, at angles in radians per sample."""
    side = 2 * np.pi / length
    return sum(
        (weight * _rectangle(angles + shift, start, stop) for weight, shift in ((0.25, -side), (0.5, 0), (0.25, side))),
        np.zeros(len(angles), np.complex128),
    )


def _rectangle(angles: Floats, start: int, stop: int) -> Spectrum:
    """Compute the spectrum of a rectangle from `start` to `stop`, at angles below 2 pi: the Dirichlet kernel."""
    count, halves = stop - start + 1, angles / 2
    whole = np.full(len(angles), float(count))
    kernel = np.divide(np.sin(count * halves), np.sin(halves), out=whole, where=halves != 0)
    spectrum: Spectrum = kernel * np.exp(-1j * (start + stop) * halves)
    return spectrum
