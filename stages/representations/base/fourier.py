"""The short-time Fourier transform and its inverse."""

import librosa
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from stages.representations.base.pooling import constant


class FourierTransform(nn.Module):
    """The STFT, centred, of clips that are at least one window long: a shorter one is followed by silence."""

    window: Tensor

    def __init__(self, samples: int, n_fft: int, hop_length: int, window: str) -> None:
        """Prepare the transform of clips of one length; `window` is the window's name."""
        super().__init__()
        self.samples, self.n_fft, self.hop_length = samples, n_fft, hop_length
        self.register_buffer("window", constant(librosa.filters.get_window(window, n_fft)))

    @property
    def places(self) -> int:
        """The number of places in time."""
        return 1 + max(self.samples, self.n_fft) // self.hop_length

    def forward(self, waveforms: Tensor) -> Tensor:
        """Transform waveforms, shape (batch, samples), to shape (batch, n_fft / 2 + 1, places), complex."""
        longer = pad(waveforms, (0, max(self.n_fft - self.samples, 0)))
        spectra: Tensor = torch.stft(
            longer, self.n_fft, self.hop_length, window=self.window, pad_mode="constant", return_complex=True
        )
        return spectra

    def inverse(self, spectra: Tensor) -> Tensor:
        """Invert the transform, in the sense of least squares: to waveforms, shape (batch, samples)."""
        length = max(self.samples, self.n_fft)
        waveforms: Tensor = torch.istft(spectra, self.n_fft, self.hop_length, window=self.window, length=length)
        return waveforms[:, : self.samples]


class Power(nn.Module):
    """The squared magnitude of complex numbers; its gradient exists at 0."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Square: of the same shape, real."""
        return spectra.real.square() + spectra.imag.square()
