"""Sound files to waveforms: decoded, mixed to mono, resampled, of one duration."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from pydantic import Field

from stages.core.errors import InputError
from stages.core.params import Count, Number, Parameters

Waveform = npt.NDArray[np.float32]

BLOCK = 2**16
"""Number of frames decoded at a time."""

SHORTFALL = 0.1
"""Seconds of sound that may be missing at a file's end: coders round to whole frames."""

MARGIN = 0.1
"""Seconds that are read beyond each end of a crop."""


class AudioParams(Parameters):
    """The form that every clip is brought to: sample rate in Hz, duration in seconds."""

    sample_rate: Annotated[Count, Field(ge=4000, le=192_000)]
    duration: Annotated[Number, Field(ge=0.1, le=60)]

    @property
    def samples(self) -> int:
        """The number of samples of a clip."""
        return round(self.sample_rate * self.duration)


def seconds(path: Path) -> float:
    """Measure the duration of a sound file in seconds; all of it is decoded, a block at a time.

    Raises:
        InputError: the file is no sound that libsndfile reads, is empty, cut off, or holds samples that are not finite.
    """
    with _opened(path) as file:
        frames = 0
        while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
            _require_finite(path, block)
            frames += len(block)
        _require_frames(path, frames)
        if frames < file.frames - SHORTFALL * file.samplerate:
            found, told = frames / file.samplerate, file.frames / file.samplerate
            raise InputError(f"{path} is cut off: {found:.2f} s of sound, of {told:.2f} s by its header")
        return float(frames / file.samplerate)


def load(path: Path, params: AudioParams) -> Waveform:
    """Decode a file to mono at the sample rate and duration asked for.

    Channels are averaged; soxr resamples; longer clips are cropped and shorter ones padded with zeros, both about
    their centre. Of a long file only the centre is read, and a margin that the resampling filter reaches into.

    Returns:
        the waveform, shape (samples,), float32, in about [-1, 1].

    Raises:
        InputError: the file is not sound, is empty, or holds samples that are not finite.
    """
    with _opened(path) as file:
        wanted = round((params.duration + 2 * MARGIN) * file.samplerate)
        if file.frames > wanted and file.seekable():
            file.seek((file.frames - wanted) // 2)
        else:
            wanted = -1
        channels = file.read(wanted, dtype="float32", always_2d=True)
        rate = file.samplerate
    _require_frames(path, len(channels))
    _require_finite(path, channels)
    mono = channels.mean(axis=1, dtype=np.float64).astype(np.float32)
    waveform = soxr.resample(mono, rate, params.sample_rate, quality="HQ")
    _require_finite(path, waveform)
    return fix_duration(waveform, params.samples)


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    try:
        # Opened here first: libsndfile says "System error" where the system says which.
        with path.open("rb"), soundfile.SoundFile(path) as file:
            yield file
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path} cannot be read as sound: {error.error_string}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read as sound: {error.strerror}") from None
    except TypeError:
        raise InputError(f"{path} cannot be read as sound: raw samples, without a header") from None


def _require_frames(path: Path, frames: int) -> None:
    if not frames:
        raise InputError(f"{path} holds no sound: 0 frames")


def _require_finite(path: Path, channels: Waveform) -> None:
    if not np.isfinite(channels).all():
        raise InputError(f"{path} holds samples that are not finite numbers")


def fix_duration(waveform: Waveform, samples: int) -> Waveform:
    """Crop or zero-pad a waveform about its centre to exactly `samples` samples, shape (samples,)."""
    surplus = len(waveform) - samples
    if surplus >= 0:
        start = surplus // 2
        return waveform[start : start + samples]
    left = -surplus // 2
    return np.pad(waveform, (left, -surplus - left))
