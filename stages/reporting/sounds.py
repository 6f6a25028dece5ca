"""A few adversarial clips to listen to: attacked as sounds, or attacked as images and turned into sounds."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import soundfile

from stages.audio.channels import FULL_SCALE
from stages.audio.decoding import Waveform
from stages.evaluation.attacked import Attacked
from stages.evaluation.sonification import PARTS, Sonified, evenly_spaced
from stages.reporting.assets import Asset
from stages.stores.perturbations import decibels

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


def adversarial_assets(attacked: Attacked, classes: tuple[str, ...], sample_rate: int) -> Iterator[Asset]:
    """Make the sounds of a few clips that were fooled as sounds: each before, after, and the perturbation, amplified.

    Args:
        attacked: the model, as it was attacked in sound.
        classes: names of the classes.
        sample_rate: sample rate of the sounds, in Hz.
    """
    ratios, inputs = attacked.worst("snr"), attacked.inputs
    fooled = np.flatnonzero(np.isfinite(ratios))
    for number, place in enumerate(evenly_spaced(len(fooled), PLAYED)):
        row = fooled[place]
        name = min(attacked.stores, key=lambda name: float(attacked.stores[name].cost[row]))
        store = attacked.stores[name]
        clean, adversarial = store.clean[row].astype(np.float32), store.adversarial[row].astype(np.float32)
        sounds = {"clean": clean, "adversarial": adversarial, "difference": _as_loud(adversarial - clean, clean)}
        names = {part: f"adversarial{number}-{part}.flac" for part in PARTS}
        verdict = attacked.predicted(store, np.arange(len(inputs)) == row)[0]
        facts = {
            "clip": str(inputs.clips[row]),
            "label": classes[int(inputs.labels[row])],
            "target": classes[int(inputs.targets[row])],
            "verdict": classes[int(verdict)],
            "attack": name,
            "snr_db": float(decibels(float(ratios[row]))),
            "sounds": names,
        }
        yield Asset("adversarial", facts, {names[part]: flac(sounds[part] / FULL_SCALE, sample_rate) for part in PARTS})


def _as_loud(perturbation: Waveform, clip: Waveform) -> Waveform:
    """Amplify a perturbation to the level of its clip, or to full scale where that is less."""
    gain = np.sqrt(np.square(clip).mean() / np.square(perturbation).mean())
    return perturbation * np.float32(min(gain, (FULL_SCALE - 1) / np.abs(perturbation).max()))


def flac(sound: Waveform, sample_rate: int) -> bytes:
    """Encode a sound, in [-1, 1], as FLAC with 16 bits."""
    buffer = BytesIO()
    soundfile.write(buffer, sound, sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
