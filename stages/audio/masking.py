"""What a listener does not hear beside a clip: the global masking threshold of MPEG-1's psychoacoustic model 1.

The model is that of ISO/IEC 11172-3, annex D, as Painter and Spanias (2000) restate it; Qin et al. (2019) and Schönherr
et al. (2019) hide attacks on speech recognition below it. What the standard leaves open, or lays down for coders:

- Levels follow the clip. Nobody knows how loud it will be played, so its loudest audible bin counts as 96 dB SPL, as
  Qin et al. have it. A quiet clip is thus taken to be turned up, and the threshold in quiet is one relative to the
  clip: what is hidden beside a clip is hidden, at a tenth of the amplitude, beside a tenth of the clip.
- A masker's power is the sum over its bins, less what the Hann window counts more than once: a pure tone has the level
  of its loudest bin.
- Tones are told from noise by the standard's distances in Hz, those of its 1024 points at 44.1 kHz. The windows here
  are twice as long, and their bins half as wide.
- Each bin is held to the threshold by itself, and maskers act within their window alone, before and after them alike.
  The ear sums the bins of a critical band, and hears what comes long before a sudden sound. Noise at the threshold in
  every bin of a band has more power than a tone may have: by 7 dB about 1 kHz, and by 13 dB about 4 kHz.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from stages.audio.decoding import Waveform
from stages.core.arrays import Flags, Floats, Integers

WINDOW = 1024 / 22_050
"""Duration of the Fourier transform's windows, in seconds, before it is rounded to a power of two of samples."""

PEAK_DB = 96.0
"""Level in dB SPL that a clip's loudest audible bin counts as."""

SILENCE = 1e-7
"""Amplitude, of 1, of the loudest tone in a clip that counts as silent: about the last bit of 24."""

NOISE_BANDWIDTH = 1.5
"""Bins' summed power over the power of the sound in them, in units of a pure tone's loudest bin: the Hann window's."""

AUDIBLE = (40.0, 20_000.0)
"""Lowest and highest frequency that masks and is masked, in Hz: others keep the threshold in quiet.

About where the standard's tables begin and end; a constant offset of the clip does not leak so far."""

QUIET_MAX_DB = 68.0
"""The highest threshold in quiet, in dB SPL: where the standard's tables end."""

PROMINENCE = 10**0.7
"""Power of a tone over that of the bins about it: 7 dB."""

REACHES = ((0.0, 86.13), (2713.2, 129.2), (5469.4, 258.4), (10_982.0, 516.8))
"""How far about a tone bins are compared to it, in Hz, each from a frequency in Hz on."""

SEPARATION = 0.5
"""Distance in Bark within which only the strongest masker counts."""

SPREAD = (-3.0, 8.0)
"""Lowest and highest distance from a masker that it is heard over, in Bark."""

NEPERS = math.log(10) / 10
"""Natural logarithm of the power ratio of 1 dB."""


def bark(frequencies: Floats) -> Floats:
    """Convert frequencies in Hz to critical-band rates in Bark (Zwicker and Terhardt 1980).

    Example:
        >>> bark(np.array([100.0, 1000.0, 10_000.0])).round(1)
        array([ 1. ,  8.5, 22.4])
    """
    rates: Floats = 13 * np.arctan(0.76e-3 * frequencies) + 3.5 * np.arctan((frequencies / 7500) ** 2)
    return rates


def threshold_in_quiet(frequencies: Floats) -> Floats:
    """Level in dB SPL, up to QUIET_MAX_DB, below which tones of these frequencies, in Hz, go unheard (Terhardt 1979).

    Example:
        >>> threshold_in_quiet(np.array([0.0, 1000.0, 3300.0])).round(1)
        array([68. ,  3.4, -5. ])
    """
    kilohertz = np.maximum(frequencies, 1) / 1000  # 0 has no power of -0.8
    dip = 6.5 * np.exp(-0.6 * (kilohertz - 3.3) ** 2)
    return np.minimum(3.64 * kilohertz**-0.8 - dip + 1e-3 * kilohertz**4, QUIET_MAX_DB)


def spreading(distances: Floats, levels: Floats) -> Floats:
    """Level of what maskers hide at a distance, in dB, over what they hide at their own place.

    It falls by 0.4 level + 6 dB over the first Bark below a masker, and by 17 dB a Bark from there on; above, by 17 dB
    over the first Bark, and from there on by 17 - 0.15 level dB a Bark: loud sounds reach far up.

    Args:
        distances: those of what is masked from the masker, in Bark, shape (places,), within SPREAD.
        levels: the maskers', in dB SPL, shape (maskers,).

    Returns:
        the differences of level, shape (maskers, places).
    """
    near, far = np.clip(-distances, 0, 1), np.clip(-distances - 1, 0, None)
    above = np.clip(distances, 0, None)
    slopes = 0.15 * np.clip(distances - 1, 0, None) - 0.4 * near
    return np.multiply.outer(levels, slopes) - (6 * near + 17 * far + 17 * above)


class Masking:
    """The masking of sounds of one sample rate, and the Fourier transform that it is told in.

    The transform's windows are Hann's, of about 46 ms, and a quarter of that apart; every sample is in as many of them
    as any other. They overlap, so a waveform made from clipped spectra still exceeds the limits, if by less.

    Example:
        >>> masking = Masking(22_050)
        >>> spectra = masking.stft(torch.from_numpy(delta))
        >>> hidden = (masking.thresholds(waveforms) / spectra.abs()).clamp(max=1) * spectra
        >>> delta = masking.istft(hidden, delta.shape[1])
    """

    def __init__(self, sample_rate: int) -> None:
        """Prepare for a sample rate, in Hz."""
        self.window_length = 2 ** round(math.log2(WINDOW * sample_rate))
        self.hop_length = self.window_length // 4
        frequencies = np.fft.rfftfreq(self.window_length, 1 / sample_rate)
        self._quiet = threshold_in_quiet(frequencies).astype(np.float32)
        self._audible = slice(*np.searchsorted(frequencies, AUDIBLE))
        audible = frequencies[self._audible]
        self._bark = bark(audible).astype(np.float32)
        self._reach = _reach(audible, sample_rate / self.window_length)
        self._bands = np.unique(self._bark.astype(int), return_index=True)[1]
        means = [np.exp(np.log(band).mean()) for band in np.split(audible, self._bands[1:])]
        self._centres = np.abs(np.subtract.outer(means, audible)).argmin(1)

    def stft(self, waveforms: Tensor) -> Tensor:
        """Transform waveforms, shape (N, samples), to complex spectra, shape (N, bins, frames); differentiable."""
        longer = pad(waveforms, (self.hop_length, 2 * self.hop_length))
        window = torch.hann_window(self.window_length, dtype=waveforms.dtype, device=waveforms.device)
        spectra: Tensor = torch.stft(
            longer, self.window_length, self.hop_length, window=window, pad_mode="constant", return_complex=True
        )
        return spectra

    def istft(self, spectra: Tensor, samples: int) -> Tensor:
        """Invert `stft`, in the sense of least squares: to waveforms, shape (N, samples); differentiable."""
        window = torch.hann_window(self.window_length, dtype=spectra.real.dtype, device=spectra.device)
        longer: Tensor = torch.istft(
            spectra, self.window_length, self.hop_length, window=window, length=self.hop_length + samples
        )
        return longer[:, self.hop_length :]

    def thresholds(self, waveforms: Waveform) -> Tensor:
        """Find the largest magnitudes that the spectra of perturbations may have and not be heard.

        Args:
            waveforms: the clips, shape (N, samples), of any scale. Beside a silent one no tone is heard that goes
                unheard where one of amplitude 1 is at 96 dB SPL.

        Returns:
            magnitudes in units of `stft`, shape (N, bins, frames), float32, above 0; on the CPU, without gradients.
        """
        frames = 4 + waveforms.shape[1] // self.hop_length
        magnitudes = torch.empty(len(waveforms), len(self._quiet), frames)
        for waveform, row in zip(waveforms, magnitudes, strict=True):
            row[:] = self._threshold(waveform)
        return magnitudes

    def excess(self, waveforms: Waveform, deltas: Waveform) -> Floats:
        """Find by which factor the bin of each perturbation that is the easiest to hear exceeds the threshold.

        Args:
            waveforms: the clips, shape (N, samples), of any scale.
            deltas: what is added to them, of the same shape and scale.

        Returns:
            ratios of amplitudes, shape (N,), float64: 0 without a perturbation, up to 1 where none of it is heard.
        """
        pairs = zip(waveforms, deltas, strict=True)
        ratios = [(self._magnitudes(delta) / self._threshold(waveform)).max().item() for waveform, delta in pairs]
        return np.array(ratios, np.float64)

    def _magnitudes(self, waveform: Waveform) -> Tensor:
        """Find the magnitudes of a waveform's spectrum: from shape (samples,) to shape (bins, frames)."""
        return self.stft(torch.tensor(waveform, dtype=torch.float32)[None])[0].abs()

    def _threshold(self, waveform: Waveform) -> Tensor:
        """Find one clip's threshold in units of its spectrum: from shape (samples,) to shape (bins, frames)."""
        magnitudes = self._magnitudes(waveform).numpy().T
        full_scale = self.window_length / 4
        peak = magnitudes[:, self._audible].max()
        reference = peak if peak > SILENCE * full_scale else full_scale
        powers = self._global_threshold(np.square(magnitudes[:, self._audible] / reference))
        return torch.from_numpy(np.sqrt(powers).T * np.float32(reference))

    def _global_threshold(self, power: Floats) -> Floats:
        """Sum the powers that maskers hide, and that which is not heard in quiet.

        Args:
            power: that of audible bins, of 1 at PEAK_DB, shape (frames, audible bins).

        Returns:
            power of what is not heard, on the same scale, shape (frames, bins).
        """
        levels, hidden = self._maskers(power)
        total = np.tile(np.exp(NEPERS * (self._quiet - PEAK_DB)), (len(power), 1))
        audible = total[:, self._audible]
        starts, stops = (np.searchsorted(self._bark, self._bark + distance) for distance in SPREAD)
        for masker in np.flatnonzero((levels > -np.inf).any(0)):
            frames = np.flatnonzero(levels[:, masker] > -np.inf)
            places = slice(starts[masker], stops[masker])
            spread = spreading(self._bark[places] - self._bark[masker], levels[frames, masker])
            spread += hidden[frames, masker, None] - np.float32(PEAK_DB)
            audible[frames, places] += np.exp(NEPERS * spread)
        return total

    def _maskers(self, power: Floats) -> tuple[Floats, Floats]:
        """Find the maskers that count, one a bin and frame at most, of bins' power, shape (frames, audible bins).

        Returns:
            their levels in dB SPL, and those that each hides at its own bin; -inf where there is none. Both have the
            shape of `power`.
        """
        tones = self._tones(power)
        tone_levels = np.where(tones, _level(_sum_of_three(power)), -np.inf)
        noise_levels = np.full_like(power, -np.inf)
        rest = np.where(self._about(tones), 0, power)
        noise_levels[:, self._centres] = _level(np.add.reduceat(rest, self._bands, axis=1))
        levels = self._decimated(np.maximum(tone_levels, noise_levels).astype(np.float32))
        tonal, noisy = -6.025 - 0.275 * self._bark, -2.025 - 0.175 * self._bark
        return levels, levels + np.where(tone_levels >= noise_levels, tonal, noisy)

    def _tones(self, power: Floats) -> Flags:
        """Tell which bins are peaks that stand out from all within their reach but those right beside them."""
        most, bins = self._reach[-1], power.shape[1]
        padded = np.pad(power, ((0, 0), (most, most)))
        around = np.zeros_like(power)
        for distance in range(2, most + 1):
            first = np.searchsorted(self._reach, distance)
            for start in (most - distance, most + distance):
                np.maximum(around[:, first:], padded[:, start + first : start + bins], out=around[:, first:])
        before, after = padded[:, most - 1 :][:, :bins], padded[:, most + 1 :][:, :bins]
        flags: Flags = (power > before) & (power >= after) & (power >= np.float32(PROMINENCE) * around)
        return flags

    def _about(self, tones: Flags) -> Flags:
        """Tell which bins lie within the reach of tones, which are theirs; both of shape (frames, audible bins)."""
        most, bins = self._reach[-1], tones.shape[1]
        padded = np.pad(tones, ((0, 0), (most, most)))
        for distance in range(1, most + 1):
            first = np.searchsorted(self._reach, distance)
            for start in (most - distance, most + distance):
                padded[:, start + first : start + bins] |= tones[:, first:]
        return padded[:, most : most + bins]

    def _decimated(self, levels: Floats) -> Floats:
        """Drop maskers, to -inf, that are not heard in quiet, or lie close to a stronger one."""
        heard = np.where(levels >= self._quiet[self._audible], levels, -np.inf)
        strongest = np.full_like(heard, -np.inf)
        starts = np.searchsorted(self._bark, self._bark - SEPARATION, "right")
        stops = np.searchsorted(self._bark, self._bark + SEPARATION)
        for masker in np.flatnonzero((heard > -np.inf).any(0)):
            strongest[:, masker] = heard[:, starts[masker] : stops[masker]].max(1)
        return np.where(heard >= strongest, heard, -np.inf)


def _reach(frequencies: Floats, spacing: float) -> Integers:
    """Find how many bins, of a spacing in Hz, on either side of each frequency are compared to it: 2 at least."""
    starts, reaches = np.transpose(REACHES)
    reach: Integers = np.round(reaches / spacing).astype(np.int64).clip(2)
    return reach[np.searchsorted(starts, frequencies, "right") - 1]


def _level(power: Floats) -> Floats:
    """Convert summed power of bins, of 1 at PEAK_DB, to the level in dB SPL of the sound in them."""
    return PEAK_DB + 10 * np.log10(np.maximum(power, np.finfo(np.float32).tiny) / NOISE_BANDWIDTH)


def _sum_of_three(power: Floats) -> Floats:
    """Sum the power of each bin and of those right beside it, shape (frames, bins)."""
    total = power.copy()
    total[:, 1:] += power[:, :-1]
    total[:, :-1] += power[:, 1:]
    return total
