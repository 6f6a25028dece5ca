"""Sound files to waveforms: decoded, mixed to mono, resampled, of one duration."""

import math
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

SUFFIXES = {f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW"} | {".aif", ".opus", ".oga"}
"""Suffixes of names that are taken for sound; a file that libsndfile then cannot read is an error."""

BLOCK = 2**16
"""Number of frames decoded at a time."""

SHORTFALL = 0.1
"""Seconds of sound that may be missing at a file's end: coders round to whole frames."""

MARGIN = 0.1
"""Seconds that are read beyond each end of a crop."""

GAP = 0.1
"""Share of a window that may be left out between windows."""


class AudioParams(Parameters):
    """The form that every clip is brought to: sample rate in Hz, duration in seconds."""

    sample_rate: Annotated[Count, Field(ge=4000, le=192_000)]
    duration: Annotated[Number, Field(ge=0.1, le=60)]

    @property
    def samples(self) -> int:
        """The number of samples of a clip."""
        return round(self.sample_rate * self.duration)


def is_sound(path: Path) -> bool:
    """Tell whether a file is taken for sound, by its name."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


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
    return fix_duration(_resampled(path, channels, rate, params.sample_rate), params.samples)


def windows(path: Path, params: AudioParams) -> Waveform:
    """Decode all of a file to windows of the duration asked for, evenly spaced from end to end.

    Windows overlap, or leave gaps of a tenth of a window between all of them at most. A file that is no longer than one
    window and that tenth gives one, as `load` does.

    Returns:
        the windows, shape (count, samples), float32, in about [-1, 1].

    Raises:
        InputError: as of `load`.
    """
    with _opened(path) as file:
        channels, rate = file.read(dtype="float32", always_2d=True), file.samplerate
    waveform = _resampled(path, channels, rate, params.sample_rate)
    count = math.ceil(len(waveform) / params.samples - GAP)
    if count <= 1:
        return fix_duration(waveform, params.samples)[None]
    starts = np.linspace(0, len(waveform) - params.samples, count).astype(int)
    return np.stack([waveform[start : start + params.samples] for start in starts])


def _resampled(path: Path, channels: Waveform, rate: int, sample_rate: int) -> Waveform:
    """Mix the channels of a file, shape (frames, channels), to mono, at another sample rate: shape (samples,)."""
    _require_frames(path, len(channels))
    _require_finite(path, channels)
    mono = channels[:, 0]
    if channels.shape[1] > 1:
        mono = channels.mean(axis=1, dtype=np.float64).astype(np.float32)
    waveform: Waveform = mono if rate == sample_rate else soxr.resample(mono, rate, sample_rate, quality="HQ")
    _require_finite(path, waveform)
    return waveform


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
