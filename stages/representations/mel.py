"""Mel spectrogram: the power spectrogram in bands as wide as the ear hears them."""

import librosa

from stages.core.arrays import Floats
from stages.representations.base.spectrogram import Spectrogram


class Mel(Spectrogram):
    """The power spectrogram in librosa's triangular bands of equal area, equally spaced on Slaney's mel scale."""

    def bands(self, sample_rate: int) -> Floats:
        """Average over mel bands from 0 to half the sample rate."""
        bands: Floats = librosa.filters.mel(sr=sample_rate, n_fft=self.n_fft, n_mels=self.rows)
        return bands
