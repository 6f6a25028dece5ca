"""Short-time Fourier transform: the power spectrogram, pooled to an image."""

from typing import Annotated, Literal, Self

import librosa
import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from stages.audio.decoding import Waveform
from stages.core.params import Count
from stages.representations.base import Change, Image, Representation, decibels, interpolate, interpolate_blocks, pool


class STFT(Representation):
    """|STFT|^2, averaged over equal bands and frames, in decibels below its maximum."""

    n_fft: Annotated[Count, Field(ge=64, le=16_384)]
    hop_length: Annotated[Count, Field(ge=16, le=8192)]
    window: Literal["hann", "hamming", "blackman"]
    rows: Annotated[Count, Field(ge=16, le=512)]
    frames: Annotated[Count, Field(ge=16, le=512)]

    @model_validator(mode="after")
    def _invertible(self) -> Self:
        if 2 * self.hop_length > self.n_fft:
            raise ValueError(f"hop_length must be at most half of n_fft = {self.n_fft}, or sound falls between windows")
        return self

    def image(self, waveform: Waveform, sample_rate: int) -> Image:
        """Make the spectrogram, shape (rows, frames), float32 in [0, 1]."""
        power = np.abs(self._spectrum(waveform)) ** 2
        return decibels(pool(self.bands(power, sample_rate), self.frames, axis=1))

    def bands(self, power: npt.NDArray[np.floating], sample_rate: int) -> npt.NDArray[np.floating]:
        """Pool bins into the rows of the image: equal bands from 0 to sample_rate / 2."""
        return pool(power, self.rows, axis=0)

    def bins(self, change: Change, sample_rate: int) -> Change:
        """Turn a change of the rows into one of the n_fft / 2 + 1 bins."""
        return interpolate_blocks(change, self.n_fft // 2 + 1, axis=0)

    def amplified(self, waveform: Waveform, sample_rate: int, change: Change) -> Waveform:
        """Apply the change as a gain on the clip's own STFT."""
        spectrum = self._spectrum(waveform)
        gain = librosa.db_to_amplitude(interpolate_blocks(self.bins(change, sample_rate), spectrum.shape[1], axis=1))
        rendered: Waveform = librosa.istft(
            (spectrum * gain).astype(np.complex64),
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            window=self.window,
            length=len(waveform),
        )
        return rendered

    def _spectrum(self, waveform: Waveform) -> npt.NDArray[np.complexfloating]:
        # At least one window long: a shorter clip is followed by silence.
        longer = librosa.util.fix_length(waveform, size=max(len(waveform), self.n_fft))
        spectrum: npt.NDArray[np.complexfloating] = librosa.stft(
            longer, n_fft=self.n_fft, hop_length=self.hop_length, window=self.window
        )
        return spectrum


def between(change: Change, centres: npt.NDArray[np.floating], n_fft: int, sample_rate: int) -> Change:
    """Turn a change of rows, whose centre frequencies are given, ascending, in Hz, into one of the bins."""
    return interpolate(change, centres, np.fft.rfftfreq(n_fft, 1 / sample_rate), axis=0)
