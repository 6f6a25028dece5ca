"""Ten environmental sounds made of noise and tones: a dataset that needs no download.

Every recording draws a spectral colour, a background and a level from wide ranges, whatever its class: the mean
spectrum tells little about the class, the course over time tells it all.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import count, cycle
from pathlib import Path
from string import ascii_lowercase
from typing import Annotated

import numpy as np
import numpy.typing as npt
import soundfile
from joblib import Parallel, delayed
from numpy.random import Generator
from pydantic import Field

from stages import files, seeding
from stages.console import InputError
from stages.datasets import Clip, Collected, Dataset
from stages.params import Count

FOLDS = 5
MOST_CLIPS_PER_RECORDING = 3
SAMPLE_RATE = 22_050
SECONDS = 5.0
SAMPLES = round(SAMPLE_RATE * SECONDS)
BYTES_PER_SAMPLE = 2
WAV_HEADER = 44
"""Bytes before the samples of a WAV file."""
TIMES = np.arange(SAMPLES) / SAMPLE_RATE
"""In seconds, shape (SAMPLES,)."""

TILT = (-6.0, 3.0)
"""Range of a recording's spectral slope, in dB an octave."""
SLOPE_START = 100.0
"""In Hz; below it the spectrum is level, or a rumble would bury the rest of a falling one."""
UNEVENNESS = 6.0
"""Standard deviation of a recording's gains about that slope, in dB."""
KNOTS = np.arange(-3, 4)
"""Where these gains are drawn, in octaves above 1 kHz."""
BACKGROUND = (-45.0, -30.0)
"""Range of the background's level, in dB relative to the loudest tenth of a second of the sound."""
LEVEL = (-20.0, -1.0)
"""Range of a clip's peak, in dB relative to full scale."""

Signal = npt.NDArray[np.float64]


class Synthetic(Dataset):
    """Generated sounds: ten balanced classes in 5 folds, 1 to 3 clips a recording."""

    clips_per_class: Annotated[Count, Field(ge=10, le=10_000)]

    def collect(self, source: str, seed: int, audio: Path) -> Collected:
        """Generate every clip; the same seed gives the same files."""
        if source:
            raise InputError(
                f"dataset.source is {source!r}, but the dataset `synthetic` is generated and takes no dataset.source: "
                'set it to "", or name the dataset to be read'
            )
        clips = [clip for label in SOUNDS for clip in _plan(label, self.clips_per_class, seed)]
        files.require_space(audio, len(clips) * (BYTES_PER_SAMPLE * SAMPLES + WAV_HEADER))
        for label in SOUNDS:
            (audio / label).mkdir()
        Parallel(n_jobs=-1)(delayed(_write)(clip, seed, audio) for clip in clips)
        return Collected(clips)


def _plan(label: str, clips: int, seed: int) -> Iterator[Clip]:
    """The clips of one class: folds that differ by one clip at most, each filled with whole recordings."""
    rng = seeding.generator(seed, "plan", label)
    numbers = count()
    for fold in range(1, FOLDS + 1):
        missing = clips * fold // FOLDS - clips * (fold - 1) // FOLDS
        while missing:
            takes = min(missing, int(rng.integers(1, MOST_CLIPS_PER_RECORDING, endpoint=True)))
            missing -= takes
            group = f"{label}-{next(numbers):03d}"
            for letter in ascii_lowercase[:takes]:
                yield Clip(f"{label}/{group}-{letter}.wav", label, fold, group)


def _write(clip: Clip, seed: int, audio: Path) -> None:
    sound = SOUNDS[clip.label](*_generators("sound", clip, seed))
    waveform = _record(sound, *_generators("scene", clip, seed))
    soundfile.write(audio / clip.path, waveform, SAMPLE_RATE, subtype="PCM_16")


def _generators(purpose: str, clip: Clip, seed: int) -> tuple[Generator, Generator]:
    """One that all clips of a recording start anew, and one of the clip's own."""
    return seeding.generator(seed, purpose, clip.group), seeding.generator(seed, purpose, clip.path)


def _record(sound: Signal, recording: Generator, take: Generator) -> Signal:
    """The sound as its recording has it: coloured, before a coloured background, at a random level.

    Args:
        sound: shape (SAMPLES,), at any level.
        recording: draws what the clips of a recording share.
        take: draws what is the clip's own.

    Returns:
        shape (SAMPLES,), in (-1, 1).
    """
    foreground = _to_unit_loudness(_coloured(recording, sound * _presence(take)))
    background = _to_unit_loudness(_coloured(recording, take.standard_normal(SAMPLES)))
    mixed = foreground + _amplitude(recording.uniform(*BACKGROUND)) * background
    return mixed * (_amplitude(take.uniform(*LEVEL)) / float(np.abs(mixed).max()))


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def _to_unit_loudness(signal: Signal) -> Signal:
    """Scale a signal to a root mean square of 1 over its loudest tenth of a second."""
    powers = np.mean(signal.reshape(round(10 * SECONDS), -1) ** 2, axis=1)
    return signal / math.sqrt(powers.max())


def _coloured(recording: Generator, signal: Signal) -> Signal:
    """Filter a signal, shape (SAMPLES,), with the random slope and the random gains of its recording."""
    octaves = np.log2(np.fft.rfftfreq(SAMPLES, 1 / SAMPLE_RATE).clip(min=SLOPE_START) / 1000)
    gains = np.interp(octaves, KNOTS, recording.normal(0, UNEVENNESS, len(KNOTS)))
    gains += recording.uniform(*TILT) * octaves
    filtered: Signal = np.fft.irfft(np.fft.rfft(signal) * 10 ** (gains / 20), SAMPLES)
    return filtered


def _presence(take: Generator) -> Signal:
    """Gains that let a sound be heard for at least 3 of the 5 s."""
    start, stop = take.uniform(-0.5, 1), take.uniform(4, 5.5)
    return np.interp(TIMES, [start - 0.2, start, stop, stop + 0.2], [0, 1, 1, 0])


def _drift(rng: Generator, rate: float) -> Signal:
    """A random line through `rate` points a second, in [-1, 1]."""
    points = int(SECONDS * rate) + 2
    return np.interp(TIMES * rate, np.arange(points), rng.uniform(-1, 1, points))


def _phase(take: Generator, period: float) -> Signal:
    """A sawtooth from 0 to 1, begun anywhere, of a period in seconds."""
    return (TIMES / period + take.uniform()) % 1


def _hump(seconds: float) -> Signal:
    """Half a sine: 0 at both ends, 1 in the middle."""
    return np.sin(np.linspace(0, np.pi, round(seconds * SAMPLE_RATE)))


def _tone(pitch: Signal, amplitudes: Signal) -> Signal:
    """Harmonics of a gliding pitch, those below half the sample rate.

    Args:
        pitch: in Hz, shape (samples,).
        amplitudes: of 1, 2, ... times the pitch.
    """
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    audible = amplitudes[: int(SAMPLE_RATE / 2 / pitch.max())]
    harmonics: Signal = np.sum([amplitude * np.sin(k * phase) for k, amplitude in enumerate(audible, 1)], axis=0)
    return harmonics


def _burst(rng: Generator, decay: float) -> Signal:
    """Noise that dies away with a time constant of `decay` seconds."""
    times = TIMES[: round(6 * decay * SAMPLE_RATE)]
    return rng.standard_normal(len(times)) * np.exp(-times / decay)


def _ring(pitch: float, decay: float) -> Signal:
    """A sine, in Hz, that dies away with a time constant of `decay` seconds."""
    times = TIMES[: round(6 * decay * SAMPLE_RATE)]
    return np.sin(2 * np.pi * pitch * times) * np.exp(-times / decay)


def _beats(take: Generator, period: float, jitter: float) -> Signal:
    """Starts of events, in seconds, each up to `jitter` periods off the beat."""
    starts = np.arange(take.uniform(0, period), SECONDS, period)
    return (starts + period * take.uniform(-jitter, jitter, len(starts))).clip(min=0)


def _scatter(take: Generator, rate: float) -> Signal:
    """Starts of `rate` events a second, in seconds, that know nothing of each other."""
    return take.uniform(0, SECONDS, round(rate * SECONDS))


def _place(starts: Iterable[float], events: Iterable[Signal]) -> Signal:
    """Add up events that start at given seconds; what runs over the end is cut."""
    signal = np.zeros(SAMPLES)
    for start, event in zip(starts, events, strict=False):
        rest = signal[round(start * SAMPLE_RATE) :][: len(event)]
        rest += event[: len(rest)]
    return signal


def rain(recording: Generator, take: Generator) -> Signal:
    """A steady hiss full of drops."""
    starts, size = _scatter(take, recording.uniform(40, 90)), recording.uniform(3, 8)
    drops = (take.exponential(size) * _burst(take, 0.003) for _ in starts)
    return take.standard_normal(SAMPLES) + _place(starts, drops)


def sea_waves(recording: Generator, take: Generator) -> Signal:
    """Noise that swells and breaks, over and over."""
    phase, crest = _phase(take, recording.uniform(1.4, 2.4)), recording.uniform(0.6, 0.8)
    depth = recording.uniform(25, 35)
    height = np.interp(phase, [0, crest, 1], [0, 1, 0])
    return take.standard_normal(SAMPLES) * 10 ** (depth * height / 20)


def wind(recording: Generator, take: Generator) -> Signal:
    """A howl: a narrow band of noise whose pitch and strength drift."""
    octaves = recording.uniform(0.5, 0.9) * _drift(take, 1.5)
    howl = _tone(recording.uniform(800, 4000) * 2**octaves, np.ones(1))
    return howl * _drift(take, recording.uniform(150, 300)) * (1.2 + _drift(take, 1.5))


def fire_crackling(recording: Generator, take: Generator) -> Signal:
    """Dry cracks of unequal strength, at random."""
    starts = _scatter(take, recording.uniform(3, 6))
    return _place(starts, (take.lognormal(sigma=0.7) * _burst(take, take.uniform(0.002, 0.012)) for _ in starts))


def clock_tick(recording: Generator, take: Generator) -> Signal:
    """Two ringing clicks in turn, on the beat."""
    period, decay = 1 / recording.uniform(2.4, 3.6), recording.uniform(0.01, 0.03)
    ticks = [_ring(recording.uniform(1000, 6000), decay) + 0.5 * _burst(recording, decay) for _ in range(2)]
    return _place(_beats(take, period, jitter=0), cycle(ticks))


def dog_bark(recording: Generator, take: Generator) -> Signal:
    """Short harmonic cries whose pitch rises and falls, at uneven intervals."""
    hump, period = _hump(recording.uniform(0.15, 0.3)), recording.uniform(0.5, 1.2)
    pitch = recording.uniform(300, 800) * (0.7 + 0.6 * hump)
    bark = _tone(pitch, recording.uniform(0.3, 1, 12)) * np.sqrt(hump)
    starts = _beats(take, period, jitter=0.2)
    return _place(starts, (strength * bark for strength in take.uniform(0.6, 1, len(starts))))


def siren(recording: Generator, take: Generator) -> Signal:
    """An unbroken tone that sweeps up and down."""
    sweep = np.abs(2 * _phase(take, recording.uniform(0.8, 2.5)) - 1)
    pitch = recording.uniform(500, 1200) * 2 ** (recording.uniform(0.8, 1.4) * sweep)
    return _tone(pitch, recording.uniform(0.2, 1, 6))


def engine(recording: Generator, take: Generator) -> Signal:
    """Many harmonics that climb and drop back at each change of gear."""
    climb = _phase(take, recording.uniform(1.2, 2.5))
    pitch = recording.uniform(250, 450) * 2 ** (recording.uniform(0.3, 0.6) * climb)
    return _tone(pitch, recording.uniform(0.3, 1, 20))


def footsteps(recording: Generator, take: Generator) -> Signal:
    """Heels on the beat, each followed by the longer scuff of a sole."""
    starts = _beats(take, 1 / recording.uniform(1.3, 2), jitter=0.04)
    delay, scuff = recording.uniform(0.1, 0.16), recording.uniform(0.3, 0.6)
    heels = _place(starts, (_burst(take, 0.01) for _ in starts))
    return heels + _place(starts + delay, (scuff * _burst(take, 0.04) for _ in starts))


def birdsong(recording: Generator, take: Generator) -> Signal:
    """Phrases of short whistles, each a fast glide up or down."""
    hump = _hump(recording.uniform(0.06, 0.12))
    octaves = recording.choice([-1, 1]) * np.linspace(0, recording.uniform(0.4, 0.8), len(hump))
    note = hump * _tone(recording.uniform(2000, 6000) * 2**octaves, np.ones(1))
    phrases, interval = _beats(take, recording.uniform(1.1, 1.8), jitter=0.2), 1.4 * len(hump) / SAMPLE_RATE
    starts = [start + interval * i for start in phrases for i in range(take.integers(3, 8))]
    return _place(starts, cycle([note]))


SOUNDS: dict[str, Callable[[Generator, Generator], Signal]] = {
    "rain": rain,
    "sea_waves": sea_waves,
    "wind": wind,
    "fire_crackling": fire_crackling,
    "clock_tick": clock_tick,
    "dog_bark": dog_bark,
    "siren": siren,
    "engine": engine,
    "footsteps": footsteps,
    "birdsong": birdsong,
}
"""Classes, each with what makes a clip of it, shape (SAMPLES,), from the generators of the recording and the clip."""
