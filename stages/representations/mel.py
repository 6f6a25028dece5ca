"""Mel spectrogram: the power spectrogram in bands as wide as the ear hears them."""

from typing import ClassVar

import librosa
import numpy as np
import numpy.typing as npt

from stages.representations.base import Change
from stages.representations.stft import STFT, between


class Mel(STFT):
    """As `stft`, its rows triangular bands equally spaced on Slaney's mel scale, of equal area (librosa's)."""

    short: ClassVar[str] = "mel spectrogram"

    def bands(self, power: npt.NDArray[np.floating], sample_rate: int) -> npt.NDArray[np.floating]:
        """Rows of the image from bins: mel bands from 0 to sample_rate / 2."""
        mel: npt.NDArray[np.floating] = librosa.feature.melspectrogram(S=power, sr=sample_rate, n_mels=self.rows)
        return mel

    def bins(self, change: Change, sample_rate: int) -> Change:
        """A change of the bins from one of the rows, interpolated between their centres."""
        centres = librosa.mel_frequencies(self.rows + 2, fmin=0, fmax=sample_rate / 2)[1:-1]
        return between(change, centres, self.n_fft, sample_rate)
