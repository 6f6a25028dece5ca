"""Short-time Fourier transform: the power spectrogram, pooled to an image."""

from typing import Annotated, ClassVar, Literal

import librosa
import numpy as np
from pydantic import Field

from stages.audio import Waveform
from stages.params import Count
from stages.representations import Image, Representation, decibels, pool


class STFT(Representation):
    """|STFT|^2, averaged over equal bands and frames, in decibels below its maximum."""

    short: ClassVar[str] = "spectrogram"

    n_fft: Annotated[Count, Field(ge=64, le=16_384)]
    hop_length: Annotated[Count, Field(ge=16, le=16_384)]
    window: Literal["hann", "hamming", "blackman"]
    rows: Annotated[Count, Field(ge=16, le=512)]
    frames: Annotated[Count, Field(ge=16, le=512)]

    def image(self, waveform: Waveform, sample_rate: int) -> Image:
        """Shape (rows, frames), float32 in [0, 1]: the bands split 0 to sample_rate / 2 equally."""
        spectrum = librosa.stft(waveform, n_fft=self.n_fft, hop_length=self.hop_length, window=self.window)
        return decibels(pool(pool(np.abs(spectrum) ** 2, self.rows, axis=0), self.frames, axis=1))
