"""Rendering by descent: a clip's own sound, with gains in time and frequency that make its image another one."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import hardshrink

from stages.representations.base.fourier import FourierTransform

WINDOWS = (256, 2048)
"""Least and largest window of the STFT that the gains apply to, in samples; its hop is a quarter of it."""

STEPS = 60

LEARNING_RATE = 0.1
"""Highest learning rate of Adam, on the logarithms of the gains; it falls to 0 as a cosine does."""

EPSILON = 1e-6
"""Gradient below which Adam takes smaller steps than its learning rate."""

TOLERANCE = 1e-4
"""Error of a bin that counts as none: far above rounding, far below what is heard."""


def descend(front_end: nn.Module, waveforms: Tensor, images: Tensor) -> Tensor:
    """Find gains on the clips' STFTs by which the images of their sounds come closest to those wanted.

    Least squares over the bins of the image, through the front end, by Adam. What a sound cannot show stays as an
    error: rows and frames that share coefficients, power where there is digital silence. As an image does not tell
    loudness, the sound is scaled to lie closest to the clip.

    Args:
        front_end: from waveforms to images.
        waveforms: the clips' sounds, shape (batch, samples).
        images: images wanted, in the shape that `front_end` gives, in [0, 1].

    Returns:
        the sounds, shape (batch, samples).
    """
    transform = _transform(waveforms.shape[1], images.shape[3]).to(waveforms)
    spectra = transform(waveforms)
    logarithms = torch.zeros_like(spectra.real, requires_grad=True)
    adam = torch.optim.Adam([logarithms], lr=LEARNING_RATE, eps=EPSILON)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS)
    for _ in range(STEPS):
        adam.zero_grad()
        with torch.enable_grad():
            error = front_end(transform.inverse(spectra * logarithms.exp())) - images
            hardshrink(error, TOLERANCE).square().sum().backward()
        adam.step()
        schedule.step()
    return closest(transform.inverse(spectra * logarithms.detach().exp()), waveforms)


def _transform(samples: int, frames: int) -> FourierTransform:
    """Choose an STFT whose windows are about as long as the frames of the image."""
    window = 2 ** round(math.log2(max(samples / frames, 1)))
    window = min(max(window, WINDOWS[0]), WINDOWS[1])
    return FourierTransform(samples, window, window // 4, "hann")


def closest(sounds: Tensor, waveforms: Tensor) -> Tensor:
    """Scale each sound, shape (batch, samples), so that its distance from its waveform is the least."""
    power = sounds.square().sum(1, keepdim=True)
    return sounds * ((sounds * waveforms).sum(1, keepdim=True) / power.clamp(min=1e-30))
