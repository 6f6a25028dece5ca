"""Mel spectrogram: the power spectrogram in bands as wide as the ear hears them."""

import librosa
import numpy as np
import numpy.typing as npt

from stages.representations.base import Change
from stages.representations.stft import STFT, between


class Mel(STFT):
    """The spectrogram of `stft` in librosa's triangular bands of equal area, equally spaced on Slaney's mel scale."""

    def bands(self, power: npt.NDArray[np.floating], sample_rate: int) -> npt.NDArray[np.floating]:
        """Pool bins into the rows of the image: mel bands from 0 to sample_rate / 2."""
        mel: npt.NDArray[np.floating] = librosa.feature.melspectrogram(S=power, sr=sample_rate, n_mels=self.rows)
        return mel

    def bins(self, change: Change, sample_rate: int) -> Change:
        """Turn a change of the rows into one of the bins, by interpolation between the rows' centres."""
        centres = librosa.mel_frequencies(self.rows + 2, fmin=0, fmax=sample_rate / 2)[1:-1]
        return between(change, centres, self.n_fft, sample_rate)
