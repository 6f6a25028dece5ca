"""A few adversarial clips to listen to."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import soundfile

from stages.audio.decoding import Waveform
from stages.evaluation.sonification import PARTS, Sonified, evenly_spaced
from stages.reporting.assets import Asset

PLAYED = 3
"""Sounds that the report plays."""


def sound_assets(sonified: Sonified, classes: tuple[str, ...], sample_rate: int) -> Iterator[Asset]:
    """Choose a few of the clips, evenly spaced: each before, after, and the difference.

    Args:
        sonified: the clips.
        classes: their names.
        sample_rate: of the sounds, in Hz.
    """
    for number, row in enumerate(evenly_spaced(len(sonified.clips), PLAYED)):
        names = {part: f"sound{number}-{part}.flac" for part in PARTS}
        rendering = sonified.renderings[row]
        sounds = rendering.sounds()
        facts: dict[str, Any] = {
            "clip": str(sonified.clips[row]),
            "label": classes[sonified.labels[row]],
            "target": classes[sonified.targets[row]],
            "verdict": classes[sonified.verdicts[row]],
            "attack": sonified.attacks[row],
            "sounds": names,
        }
        if np.isfinite(ratio := rendering.snr_db):
            facts["snr_db"] = ratio
        yield Asset("sound", facts, {names[part]: flac(sounds[part], sample_rate) for part in PARTS})


def flac(sound: Waveform, sample_rate: int) -> bytes:
    """Encode a sound, in [-1, 1], with 16 bits."""
    buffer = BytesIO()
    soundfile.write(buffer, sound, sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
