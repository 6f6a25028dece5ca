"""Short-time Fourier transform: the power spectrogram, pooled to an image."""

from stages.core.arrays import Floats
from stages.representations.base.pooling import pooling
from stages.representations.base.spectrogram import Spectrogram


class STFT(Spectrogram):
    """The power spectrogram in equal bands from 0 to half the sample rate."""

    def bands(self, sample_rate: int) -> Floats:
        """Average over equal bands."""
        return pooling(self.n_fft // 2 + 1, self.rows)
