"""Adversarial images as sounds: how loud the change is, and whether it survives being turned into a feature again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from stages.audio import decoding
from stages.audio.decoding import AudioParams, Waveform
from stages.core import paths
from stages.core.arrays import Integers, Strings
from stages.evaluation import rates
from stages.representations.base import Image, Representation

MOST = 16
"""Largest number of clips rendered: each takes about half a second."""

PARTS = ("clean", "adversarial", "difference")

PEAK = 0.99
"""Largest sample of a written sound, so that none is clipped."""


@dataclass(frozen=True)
class Rendering:
    """The sounds of a clip before and after an attack."""

    clean: Waveform
    adversarial: Waveform
    image: Image
    """Feature of the adversarial sound."""
    mismatch: float
    """Mismatch between the adversarial image and the feature of its sound, as the representation measures it."""

    @property
    def snr_db(self) -> float:
        """The power of the clip over the power of the difference, in dB; infinite where there is no difference."""
        return signal_to_noise(self.clean, self.adversarial - self.clean)

    def sounds(self) -> dict[str, Waveform]:
        """Bring the clip, its adversarial version and their difference to one scale."""
        every = (self.clean, self.adversarial, self.adversarial - self.clean)
        loudest = max(float(np.abs(sound).max()) for sound in every)
        scale = np.float32(PEAK / max(loudest, PEAK))
        return {part: scale * sound for part, sound in zip(PARTS, every, strict=True)}


def signal_to_noise(signal: Waveform, noise: Waveform) -> float:
    """Compute the ratio of the powers in dB; infinite without noise, minus infinity without signal."""
    powers = [float(np.square(wave, dtype=np.float64).sum()) for wave in (signal, noise)]
    if not powers[1]:
        return np.inf
    return float(10 * np.log10(powers[0] / powers[1])) if powers[0] else -np.inf


def chosen(fooled: Integers) -> Integers:
    """Choose the fooled clips that are rendered, by their positions, evenly spaced."""
    rows: Integers = fooled[evenly_spaced(len(fooled), MOST)]
    return rows


def evenly_spaced(count: int, most: int) -> list[int]:
    """Choose at most `most` of the numbers below `count`, evenly spaced."""
    found: list[int] = np.linspace(0, count - 1, min(most, count)).astype(int).tolist()
    return found


def renderings(
    transform: Representation, sound: AudioParams, clips: Strings, images: Iterable[Image]
) -> Iterator[Rendering]:
    """Render each clip with an adversarial image of it.

    Args:
        transform: the representation of the images.
        sound: settings by which the clips are read.
        clips: paths of the clips, relative to data/raw.
        images: adversarial images, of shape (height, width) each, in [0, 1].
    """
    for clip, image in zip(clips, images, strict=True):
        waveform = decoding.load(paths.RAW / clip, sound)
        changed = transform.render(waveform, sound.sample_rate, image)
        heard_as = transform.image(changed, sound.sample_rate)
        yield Rendering(waveform, changed, heard_as, transform.mismatch(changed, sound.sample_rate, image))


@dataclass(frozen=True)
class Sonified:
    """N fooled clips as sounds, and the model's verdicts on them."""

    attacks: list[str]
    """Names of the attacks that found the examples."""
    renderings: list[Rendering]
    verdicts: Integers
    """Verdicts on the features of the adversarial sounds, shape (N,)."""
    clips: Strings
    labels: Integers
    targets: Integers

    def metrics(self) -> dict[str, float]:
        """Count the sounds; compute the share that still reaches its target, and the medians of SNR and mismatch."""
        values = {"clips": len(self.clips), **rates.rate("survival_rate", self.verdicts == self.targets)}
        measured = {
            "snr_db_median": [ratio for each in self.renderings if np.isfinite(ratio := each.snr_db)],
            "mismatch_median": [each.mismatch for each in self.renderings],
        }
        return values | {name: float(np.median(found)) for name, found in measured.items() if found}
