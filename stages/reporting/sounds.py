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
"""Number of clips that the report plays."""


def sound_assets(sonified: Sonified, classes: tuple[str, ...], sample_rate: int) -> Iterator[Asset]:
    """Make the sounds of a few clips, evenly spaced: each before the attack, after it, and the difference.

    Args:
        sonified: the fooled clips as sounds.
        classes: names of the classes.
        sample_rate: sample rate of the sounds, in Hz.
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
    """Encode a sound, in [-1, 1], as FLAC with 16 bits."""
    buffer = BytesIO()
    soundfile.write(buffer, sound, sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
