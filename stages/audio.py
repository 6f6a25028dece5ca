"""Sound files to waveforms: decoded, mixed to mono, resampled, of one duration."""

from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from pydantic import Field

from stages.console import InputError
from stages.params import Count, Number, Parameters

Waveform = npt.NDArray[np.float32]


class AudioParams(Parameters):
    """How every clip is brought to one form."""

    sample_rate: Annotated[Count, Field(ge=4000, le=192_000)]
    duration: Annotated[Number, Field(ge=0.1, le=60)]

    @property
    def samples(self) -> int:
        """Number of samples of a clip."""
        return round(self.sample_rate * self.duration)


def seconds(path: Path) -> float:
    """Duration of a sound file, read from its header.

    Raises:
        InputError: the file is not sound that libsndfile reads, or is empty.
    """
    try:
        header = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"{path} cannot be read as sound: {error}") from None
    if header.frames <= 0 or header.samplerate <= 0:
        raise InputError(f"{path} holds no sound: {header.frames} frames at {header.samplerate} Hz")
    return float(header.frames / header.samplerate)


def load(path: Path, params: AudioParams) -> Waveform:
    """Decode a file to mono at the sample rate and duration asked for.

    Channels are averaged; soxr resamples; longer clips are cropped and shorter ones padded with zeros, both about
    their centre.

    Returns:
        shape (samples,), float32, in about [-1, 1].

    Raises:
        InputError: the file is not sound, is empty, or holds samples that are not finite.
    """
    try:
        channels, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"{path} cannot be read as sound: {error}") from None
    if not len(channels):
        raise InputError(f"{path} holds no sound: 0 frames")
    if not np.isfinite(channels).all():
        raise InputError(f"{path} holds samples that are not finite numbers")
    waveform = soxr.resample(channels.mean(axis=1), rate, params.sample_rate, quality="HQ")
    return fix_duration(waveform, params.samples)


def fix_duration(waveform: Waveform, samples: int) -> Waveform:
    """Crop or zero-pad about the centre to exactly `samples` samples, shape (samples,)."""
    surplus = len(waveform) - samples
    if surplus >= 0:
        start = surplus // 2
        return waveform[start : start + samples]
    left = -surplus // 2
    return np.pad(waveform, (left, -surplus - left))
