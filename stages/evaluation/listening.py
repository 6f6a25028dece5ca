"""Adversarial images as sounds: how loud the change is, and whether it survives being turned into a feature again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import soundfile

from stages import audio, paths
from stages.audio import AudioParams, Waveform
from stages.evaluation import rates
from stages.reporting.exhibits import Exhibit
from stages.representations import Image, Representation
from stages.stores import Integers, Strings

HEARD = 16
"""Clips rendered, at most: about half a second each."""

PLAYED = 3
"""Of them that the report plays."""

PARTS = ("clean", "adversarial", "difference")

PEAK = 0.99
"""Largest sample of a written sound, so that none is clipped."""


@dataclass(frozen=True)
class Rendering:
    """A clip before and after, as sounds."""

    clean: Waveform
    adversarial: Waveform
    image: Image
    """The feature of the adversarial sound."""
    mismatch: float
    """Of the adversarial image with it, by the representation."""

    @property
    def snr_db(self) -> float:
        """Power of the clip over that of the difference, in dB; infinite where there is no difference."""
        return signal_to_noise(self.clean, self.adversarial - self.clean)

    def sounds(self) -> dict[str, Waveform]:
        """Clip, adversarial version and difference, on one scale."""
        every = (self.clean, self.adversarial, self.adversarial - self.clean)
        loudest = max(float(np.abs(sound).max()) for sound in every)
        scale = np.float32(PEAK / max(loudest, PEAK))
        return {part: scale * sound for part, sound in zip(PARTS, every, strict=True)}


def signal_to_noise(signal: Waveform, noise: Waveform) -> float:
    """Ratio of the powers in dB; infinite without noise, minus infinity without signal."""
    powers = [float(np.square(wave, dtype=np.float64).sum()) for wave in (signal, noise)]
    if not powers[1]:
        return np.inf
    return float(10 * np.log10(powers[0] / powers[1])) if powers[0] else -np.inf


def heard(fooled: Integers) -> Integers:
    """Positions of the fooled clips that are rendered, evenly spaced."""
    chosen: Integers = fooled[_spaced(len(fooled), HEARD)]
    return chosen


def renderings(
    transform: Representation, sound: AudioParams, clips: Strings, images: Iterable[Image]
) -> Iterator[Rendering]:
    """Each clip with an adversarial image of it, as sounds.

    Args:
        transform: the representation of the images.
        sound: how the clips are read.
        clips: paths relative to data/raw.
        images: shape (height, width) each, in [0, 1].
    """
    for clip, image in zip(clips, images, strict=True):
        waveform = audio.load(paths.RAW / clip, sound)
        changed = transform.render(waveform, sound.sample_rate, image)
        heard_as = transform.image(changed, sound.sample_rate)
        yield Rendering(waveform, changed, heard_as, transform.mismatch(changed, sound.sample_rate, image))


@dataclass(frozen=True)
class Heard:
    """N fooled clips as sounds, and what the victim makes of them."""

    attacks: list[str]
    """That found each example."""
    renderings: list[Rendering]
    verdicts: Integers
    """On the features of the adversarial sounds, shape (N,)."""
    clips: Strings
    labels: Integers
    targets: Integers

    def metrics(self) -> dict[str, float]:
        """How many sounds there are, the share that still reaches the target, medians of their ratio and mismatch."""
        values = {"clips": len(self.clips), **rates.rate("survival_rate", self.verdicts == self.targets)}
        measured = {
            "snr_db_median": [ratio for each in self.renderings if np.isfinite(ratio := each.snr_db)],
            "mismatch_median": [each.mismatch for each in self.renderings],
        }
        return values | {name: float(np.median(found)) for name, found in measured.items() if found}

    def exhibits(self, classes: tuple[str, ...], sample_rate: int) -> Iterator[Exhibit]:
        """A few of them to listen to, evenly spaced."""
        for number, row in enumerate(_spaced(len(self.clips), PLAYED)):
            names = {part: f"sound{number}-{part}.flac" for part in PARTS}
            sounds = self.renderings[row].sounds()
            facts: dict[str, Any] = {
                "clip": str(self.clips[row]),
                "label": classes[self.labels[row]],
                "target": classes[self.targets[row]],
                "verdict": classes[self.verdicts[row]],
                "attack": self.attacks[row],
                "sounds": names,
            }
            if np.isfinite(ratio := self.renderings[row].snr_db):
                facts["snr_db"] = ratio
            yield Exhibit("sound", facts, {names[part]: _flac(sounds[part], sample_rate) for part in PARTS})


def _spaced(count: int, most: int) -> list[int]:
    found: list[int] = np.linspace(0, count - 1, min(most, count)).astype(int).tolist()
    return found


def _flac(sound: Waveform, sample_rate: int) -> bytes:
    buffer = BytesIO()
    soundfile.write(buffer, sound, sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
