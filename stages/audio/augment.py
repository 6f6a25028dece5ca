"""Augmented copies of a clip's sound that keep its class; stored beside the clip, for training."""

from typing import Annotated

import librosa
import numpy as np
import soxr
from numpy.random import Generator
from pydantic import Field

from stages.audio.decoding import Waveform, fix_duration
from stages.core.params import Count, Number, Parameters

NOISE_RANGE_DB = 40.0
"""Level of the quietest noise below the loudest, in dB."""

SHORTEST = 16_384
"""Least number of samples: a shorter clip is padded with zeros, so that at any speed it fills the vocoder's windows."""


class WaveformAugmentParams(Parameters):
    """The number of augmented copies, and their largest distances from the clip."""

    copies: Annotated[Count, Field(ge=0, le=100)]
    speed: Annotated[Number, Field(ge=0, le=1)]
    pitch: Annotated[Number, Field(ge=0, le=12)]
    stretch: Annotated[Number, Field(ge=0, le=1)]
    noise: Annotated[Number, Field(ge=0, le=1)]


def augmented_copy(waveform: Waveform, sample_rate: int, params: WaveformAugmentParams, rng: Generator) -> Waveform:
    """Copy the clip at another speed, shifted in pitch, stretched in time, with noise, at its own length.

    Speed changes pace and pitch together, by resampling (Ko et al. 2015); pitch and stretch change one of them alone,
    by a phase vocoder (Salamon and Bello 2017), which takes a hundred times as long. A change of 0 is left out.

    Args:
        waveform: the clip's sound, shape (samples,).
        sample_rate: sample rate in Hz.
        params: `speed` and `stretch` are factors of up to 1 + each, or 1 / (1 + each); `pitch` is in semitones;
            `noise` is white, its RMS up to that much of the clip's.
        rng: generator of the amounts and the noise.

    Returns:
        the copy, shape (samples,), float32; cropped or padded with zeros about the centre.
    """
    speed, stretch = ((1 + most) ** rng.uniform(-1, 1) for most in (params.speed, params.stretch))
    pitch, decibels = params.pitch * rng.uniform(-1, 1), -NOISE_RANGE_DB * rng.random()
    changed = fix_duration(waveform, max(len(waveform), SHORTEST))
    if params.speed:
        changed = soxr.resample(changed, speed * sample_rate, sample_rate)
    if params.stretch:
        changed = librosa.effects.time_stretch(changed, rate=stretch)
    if params.pitch:
        changed = librosa.effects.pitch_shift(changed, sr=sample_rate, n_steps=pitch)
    level = np.float32(params.noise * np.sqrt(np.mean(waveform**2)) * librosa.db_to_amplitude(decibels))
    noisy: Waveform = fix_duration(changed, len(waveform)) + level * rng.standard_normal(len(waveform), np.float32)
    return noisy
