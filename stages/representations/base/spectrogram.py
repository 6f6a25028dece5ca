"""What the spectrograms share: the power of an STFT, pooled to bands and frames."""

from abc import ABC, abstractmethod
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import nn

from stages.core.arrays import Floats
from stages.core.params import Count
from stages.representations.base.bands import Bands, PooledPower
from stages.representations.base.fourier import FourierTransform, Power
from stages.representations.base.pooling import pooling


class Spectrogram(Bands, ABC):
    """|STFT|^2, averaged over bands and equal frames, in decibels."""

    n_fft: Annotated[Count, Field(ge=64, le=16_384)]
    hop_length: Annotated[Count, Field(ge=16, le=8192)]
    window: Literal["hann", "hamming", "blackman"]

    @model_validator(mode="after")
    def _invertible(self) -> Self:
        if 2 * self.hop_length > self.n_fft:
            raise ValueError(f"hop_length must be at most half of n_fft = {self.n_fft}, or sound falls between windows")
        return self

    @abstractmethod
    def bands(self, sample_rate: int) -> Floats:
        """Make the matrix that pools the n_fft / 2 + 1 bins, from 0 to sample_rate / 2, to rows: shape (rows, bins)."""

    def module(self, samples: int, sample_rate: int) -> nn.Module:
        """Build the spectrogram: images of shape (batch, 1, rows, frames)."""
        transform = FourierTransform(samples, self.n_fft, self.hop_length, self.window)
        pooled = PooledPower(self.bands(sample_rate), pooling(transform.places, self.frames))
        return nn.Sequential(transform, Power(), pooled, self.decibels())
