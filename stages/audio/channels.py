"""What happens to a sound on its way to a classifier: files, codecs, resampling, gain, noise, a room.

Adversarial sounds are played through these channels to see whether they still fool; as every channel has gradients, an
attack can also be crafted over them, in expectation over what they draw (Athalye, Engstrom et al. 2018).
"""

import importlib
import importlib.util
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
import soundfile
import soxr
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from stages.audio.decoding import Waveform
from stages.core.errors import InputError

BLOCK = 2**16
"""Number of frames written at a time: libsndfile keeps an Ogg write on the stack, and crashes on millions of frames."""

FULL_SCALE = 2**15
"""Number of 16-bit steps from 0 to 1."""

MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Sample rates, in Hz, that MPEG Layer III has."""

ROOM = (5.0, 4.0, 2.8)
"""Length, width and height of the room, in m: a small living room."""

REVERBERATION = 0.35
"""Seconds until the room's sound has fallen by 60 dB, by Sabine's formula."""

WALL = 0.5
"""Least distance of the loudspeaker and the microphone from a wall, in m."""

NEAREST, FARTHEST = 1.0, 3.0
"""Least and largest distance of the microphone from the loudspeaker, in m."""

SPEED_OF_SOUND = 343.0
"""In m/s, as pyroomacoustics takes it."""

Point = tuple[float, ...]


@dataclass(frozen=True)
class Channel(ABC):
    """One way of a sound to a classifier.

    Attributes:
        label: what it is in a table.
    """

    label: str

    @abstractmethod
    def __call__(self, waveforms: Tensor, sample_rate: int, draw: Generator, /) -> Tensor:
        """Send sounds through the channel; each comes out as it would alone.

        Args:
            waveforms: shape (batch, samples), float32, in [-1, 1], on any device.
            sample_rate: sample rate in Hz.
            draw: generator of all that is random, drawn once for the whole batch.

        Returns:
            what arrives, as `waveforms` in shape, type and device, and in time with them. Codecs, noise and the room
            can take it beyond [-1, 1]. Its gradients flow back to `waveforms`.

        Raises:
            InputError: the channel is not available here.

        Example:
            >>> CHANNELS["louder"](torch.tensor([[0.0, 0.25, 0.75]]), 8000, np.random.default_rng(0))
            tensor([[0.0000, 0.4988, 1.0000]])
        """

    def available(self) -> bool:
        """Tell whether the packages that the channel needs are installed."""
        return True


@dataclass(frozen=True)
class Processed(Channel):
    """A channel without derivatives that nearly gives back what it gets.

    Its gradients are those of the identity: the backward pass differentiable approximation of Athalye, Carlini and
    Wagner (2018).

    Attributes:
        process: makes what arrives of a clip, shape (samples,), float32, at a sample rate in Hz; of about its length.
    """

    process: Callable[[Waveform, int], Waveform]

    def __call__(self, waveforms: Tensor, sample_rate: int, _draw: Generator, /) -> Tensor:
        """Process each clip; cropped, or padded with zeros, at its end."""
        clips: Waveform = waveforms.detach().cpu().numpy()
        arrived = np.zeros_like(clips)
        for row, clip in zip(arrived, clips, strict=True):
            processed = self.process(clip, sample_rate)[: len(row)]
            row[: len(processed)] = processed
        # What is added is exactly 0: only its gradient is not.
        return torch.from_numpy(arrived).to(waveforms.device) + (waveforms - waveforms.detach())


@dataclass(frozen=True)
class Gain(Channel):
    """A change of level, clipped to [-1, 1] as a converter does.

    Attributes:
        decibels: the change in dB.
    """

    decibels: float

    def __call__(self, waveforms: Tensor, _sample_rate: int, _draw: Generator, /) -> Tensor:
        """Scale, then clip."""
        return (waveforms * _amplitude(self.decibels)).clamp(-1, 1)


@dataclass(frozen=True)
class Shift(Channel):
    """A delay: zeros come in at the start, and the end is lost.

    Attributes:
        seconds: the delay, of at least 0; rounded to whole samples.
    """

    seconds: float

    def __call__(self, waveforms: Tensor, sample_rate: int, _draw: Generator, /) -> Tensor:
        """Delay."""
        return functional.pad(waveforms, (round(self.seconds * sample_rate), 0))[:, : waveforms.shape[1]]


@dataclass(frozen=True)
class Noise(Channel):
    """White Gaussian noise, the same for all clips of a batch but for its level; silence gets none.

    Attributes:
        decibels: level of a clip's RMS above that of its noise, in dB.
    """

    decibels: float

    def __call__(self, waveforms: Tensor, _sample_rate: int, draw: Generator, /) -> Tensor:
        """Add noise."""
        samples = waveforms.shape[1]
        noise = torch.from_numpy(draw.standard_normal(samples, np.float32)).to(waveforms.device)
        # The norm has a gradient at silence, 0; the square root of a mean has none there.
        rms: Tensor = torch.linalg.vector_norm(waveforms, dim=1, keepdim=True) / samples**0.5
        return waveforms + _amplitude(-self.decibels) * rms * noise


@dataclass(frozen=True)
class Room(Channel):
    """From a loudspeaker to a microphone in a simulated room, each at a place that is drawn.

    The impulse response starts with the direct path, scaled to 1: neither the delay over that path nor its loss tells
    of the room, and classifiers do not see the clip at another time or level than that of the other channels.
    """

    def available(self) -> bool:
        """Tell whether pyroomacoustics is installed."""
        return importlib.util.find_spec("pyroomacoustics") is not None

    def __call__(self, waveforms: Tensor, sample_rate: int, draw: Generator, /) -> Tensor:
        """Convolve with the room's impulse response; what rings on after the clip is cut off."""
        require("room")
        response = _impulse_response(sample_rate, *_places(draw)).to(waveforms.device)
        samples = waveforms.shape[1]
        length: int = scipy.fft.next_fast_len(samples + len(response) - 1, real=True)
        spectrum = torch.fft.rfft(waveforms, length) * torch.fft.rfft(response, length)
        heard: Tensor = torch.fft.irfft(spectrum, length)[:, :samples]
        return heard


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def _wav(clip: Waveform, sample_rate: int) -> Waveform:
    return _through_file(_to_16_bits(clip), sample_rate, "WAV", "PCM_16")


def _flac(clip: Waveform, sample_rate: int) -> Waveform:
    return _through_file(_to_16_bits(clip), sample_rate, "FLAC", "PCM_16")


def _ogg(clip: Waveform, sample_rate: int) -> Waveform:
    return _through_file(clip, sample_rate, "OGG", "VORBIS")


def _mp3(clip: Waveform, sample_rate: int) -> Waveform:
    """Code at the sample rate, or else at the next above it that the format has, or at its highest.

    No delay has to be cut off: LAME writes how many samples it put in front, and the decoder takes them away.
    """
    coded_rate = min((rate for rate in MP3_RATES if rate >= sample_rate), default=MP3_RATES[-1])
    coded = _through_file(_resampled(clip, sample_rate, coded_rate), coded_rate, "MP3", "MPEG_LAYER_III")
    return _resampled(coded, coded_rate, sample_rate)


def _twice_the_rate(clip: Waveform, sample_rate: int) -> Waveform:
    return _resampled(_resampled(clip, sample_rate, 2 * sample_rate), 2 * sample_rate, sample_rate)


def _resampled(clip: Waveform, rate: int, wanted: int) -> Waveform:
    if rate == wanted:
        return clip
    resampled: Waveform = soxr.resample(clip, rate, wanted, quality="HQ")
    return resampled


def _to_16_bits(clip: Waveform) -> npt.NDArray[np.int16]:
    """Round to 16 bits here: libsndfile rounds for FLAC, but for WAV it takes the next step below."""
    return np.clip(np.rint(clip * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _through_file(clip: npt.NDArray[Any], sample_rate: int, container: str, coding: str) -> Waveform:
    """Write a clip, shape (samples,), to a file in memory, and read it back."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", sample_rate, channels=1, subtype=coding, format=container) as file:
        for start in range(0, len(clip), BLOCK):
            file.write(clip[start : start + BLOCK])
    buffer.seek(0)
    waveform: Waveform = soundfile.read(buffer, dtype="float32")[0]
    return waveform


def _places(draw: Generator) -> tuple[Point, Point]:
    """Draw the places of the loudspeaker and the microphone, in m, till they are neither too near nor too far apart."""
    while True:
        source, microphone = draw.uniform(WALL, np.array(ROOM) - WALL, (2, 3))
        if NEAREST <= np.linalg.norm(microphone - source) <= FARTHEST:
            return tuple(source.tolist()), tuple(microphone.tolist())


@lru_cache(maxsize=64)
def _impulse_response(sample_rate: int, source: Point, microphone: Point) -> Tensor:
    """Simulate the room by the image source method, from the direct path's arrival on, which is 1; shape (samples,).

    The microphone is moved towards the source by less than sound travels in a sample, so that the direct path takes
    whole samples: else it would ring before its arrival too, and be cut in two.
    """
    acoustics = importlib.import_module("pyroomacoustics")
    # Each thread adds up its share, so that their number, the machine's, would tell in the last digits.
    acoustics.constants.set("num_threads", 1)
    path = np.subtract(microphone, source)
    samples_per_meter = sample_rate / SPEED_OF_SOUND
    delay = int(np.linalg.norm(path) * samples_per_meter)
    absorption, order = acoustics.inverse_sabine(REVERBERATION, ROOM)
    room = acoustics.ShoeBox(ROOM, fs=sample_rate, materials=acoustics.Material(absorption), max_order=order)
    room.add_source(source)
    room.add_microphone(source + path / np.linalg.norm(path) * delay / samples_per_meter)
    room.compute_rir()
    # The simulation's own filter, of fractional delays, is centred on half its length.
    response = room.rir[0][0][delay + acoustics.constants.get("frac_delay_length") // 2 :]
    return torch.from_numpy((response / response[0]).astype(np.float32))


CHANNELS: Mapping[str, Channel] = {
    "wav": Processed("16-bit WAV", _wav),
    "flac": Processed("16-bit FLAC", _flac),
    "resample": Processed("twice the sample rate and back", _twice_the_rate),
    "ogg": Processed("Ogg Vorbis", _ogg),
    "mp3": Processed("MP3", _mp3),
    "louder": Gain("6 dB louder", 6.0),
    "quieter": Gain("6 dB quieter", -6.0),
    "shift": Shift("10 ms later", 0.01),
    "noise": Noise("noise 30 dB below", 30.0),
    "room": Room("a room"),
}
"""The channels by name. The codecs are those of libsndfile at its own choice of quality, Vorbis at any sample rate."""


def available() -> list[str]:
    """Name the channels whose packages are installed, in the order of CHANNELS."""
    return [name for name, channel in CHANNELS.items() if channel.available()]


def require(name: str) -> None:
    """Check that there is a channel of this name, and that it can be used here.

    Raises:
        InputError: there is none, or the package that it needs is missing.
    """
    if name not in CHANNELS:
        raise InputError(f"unknown channel {name!r}; there are: {', '.join(CHANNELS)}")
    if not CHANNELS[name].available():
        raise InputError(f"The channel `{name}` needs the package pyroomacoustics: run `pip install pyroomacoustics`")
