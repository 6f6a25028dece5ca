"""Constant-Q transform: every filter at once, at the frames alone."""

from dataclasses import dataclass
from functools import lru_cache

import librosa
import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal
import scipy.sparse

from stages.audio.decoding import Waveform

LOWEST = float(librosa.note_to_hz("C1"))
"""Frequency of the first bin, in Hz."""

BINS_PER_OCTAVE = 36

NEGLIGIBLE = 1e-4
"""Share of the peak of a filter's spectrum below which values are left out."""


@dataclass(frozen=True)
class _Bank:
    """The spectra of the filters, for clips of one length."""

    blocks: int
    """Number of frames in the padded clip, of which the clip's own come first."""
    frames: int
    folded: scipy.sparse.csr_array
    """Matrix from the clip's spectrum to the spectra of the bins' outputs.

    Its shape is (bins * blocks, hop_length * blocks // 2 + 1).
    """


def constant_q(waveform: Waveform, sample_rate: int, hop_length: int, octaves: int) -> npt.NDArray[np.complexfloating]:
    """Compute the transform as librosa defines it (Schoerkhuber and Klapuri 2010), its filters normalised in L1.

    The spectrum of a bin's output is the clip's spectrum times the filter's. At every hop-th sample alone the output
    has a spectrum of as many points as there are frames: the longer spectrum folded, by adding what lies that far
    apart. Filters are narrow, so product and folding are one small sparse matrix, and no rate is halved on the way.

    Args:
        waveform: the clip's sound, shape (samples,).
        sample_rate: sample rate in Hz.
        hop_length: number of samples between frames.
        octaves: number of octaves from C1; bins at half the sample rate and above are 0.

    Returns:
        the transform, shape (36 * octaves, 1 + samples // hop_length).
    """
    bank = _bank(len(waveform), sample_rate, hop_length, octaves)
    spectrum = scipy.fft.rfft(waveform, bank.blocks * hop_length)
    outputs = (bank.folded @ spectrum).reshape(-1, bank.blocks)
    sampled: npt.NDArray[np.complexfloating] = scipy.fft.ifft(outputs, axis=1)[:, : bank.frames] / hop_length
    return sampled


@lru_cache(maxsize=4)
def _bank(samples: int, sample_rate: int, hop_length: int, octaves: int) -> _Bank:
    frequencies = librosa.cqt_frequencies(octaves * BINS_PER_OCTAVE, fmin=LOWEST, bins_per_octave=BINS_PER_OCTAVE)
    ratio = 2 ** (2 / BINS_PER_OCTAVE)
    lengths = (ratio + 1) / (ratio - 1) * sample_rate / frequencies
    # Half a filter after the clip's end: no frame sees round to the clip's other end.
    blocks = scipy.fft.next_fast_len(-(-(samples + int(lengths.max()) // 2 + 1) // hop_length))
    rows, columns, values = [], [], []
    for number, (frequency, length) in enumerate(zip(frequencies, lengths, strict=True)):
        first, response = _response(frequency / sample_rate, length, blocks * hop_length)
        bins = np.arange(first, first + len(response))
        rows.append(number * blocks + bins % blocks)
        columns.append(bins)
        values.append(response)
    shape = (len(frequencies) * blocks, blocks * hop_length // 2 + 1)
    entries = np.concatenate(values).astype(np.complex64), (np.concatenate(rows), np.concatenate(columns))
    return _Bank(blocks, 1 + samples // hop_length, scipy.sparse.csr_array(entries, shape))


def _response(frequency: float, length: float, size: int) -> tuple[int, npt.NDArray[np.complex128]]:
    """Compute a filter's spectrum where it is not negligible, and the bin that it starts at.

    Args:
        frequency: frequency of the filter, in cycles per sample.
        length: length of its Hann window, in samples.
        size: size of the FFT.
    """
    reach = int(length / 2)
    time = np.arange(-reach, reach + 1)
    window = 0.5 + 0.5 * np.cos(2 * np.pi * time / length)
    filtering = np.zeros(size, np.complex128)
    filtering[time] = np.sqrt(length) * window / window.sum() * np.exp(2j * np.pi * frequency * time)
    spectrum = scipy.fft.fft(filtering)[: size // 2 + 1] if frequency < 0.5 else np.zeros(1, np.complex128)
    kept = np.flatnonzero(np.abs(spectrum) > NEGLIGIBLE * np.abs(spectrum).max())
    return (kept[0], spectrum[kept[0] : kept[-1] + 1]) if len(kept) else (0, spectrum[:0])
