"""Adversarial images as sounds: how loud the change is, and whether it survives being turned into a feature again."""

from dataclasses import dataclass

import numpy as np
import torch

from stages.audio import decoding
from stages.audio.decoding import AudioParams, Waveform
from stages.core import paths
from stages.core.arrays import Images, Integers, Strings
from stages.evaluation import rates
from stages.representations.base import Image, Representation, front_end

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
    """Image of the adversarial sound."""
    band_error: float
    """Mean distance of the bands of that image from those of the adversarial one: what the sound could not show."""
    chromagram_error: float | None
    """The same of the chromagram, which follows from the sound; None where there is none."""

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


def renderings(transform: Representation, sound: AudioParams, clips: Strings, images: Images) -> list[Rendering]:
    """Render clips with adversarial images of them.

    Args:
        transform: the representation of the images.
        sound: settings by which the clips are read.
        clips: paths of the N clips, relative to data/raw, at least one.
        images: adversarial images, shape (N, 1, height, width), in [0, 1].
    """
    clean = torch.from_numpy(np.stack([decoding.load(paths.RAW / clip, sound) for clip in clips]))
    with torch.no_grad():
        changed = transform.render(clean, sound.sample_rate, torch.from_numpy(images))
        heard = front_end(transform, sound.samples, sound.sample_rate)(changed).numpy()
    errors = np.abs(heard - images).mean(axis=(1, 3))
    bands = images.shape[2] - transform.chromagram_rows
    return [
        Rendering(
            clean=clean[clip].numpy(),
            adversarial=changed[clip].numpy(),
            image=heard[clip, 0],
            band_error=float(errors[clip, :bands].mean()),
            chromagram_error=float(errors[clip, bands:].mean()) if transform.chromagram_rows else None,
        )
        for clip in range(len(clips))
    ]


@dataclass(frozen=True)
class Sonified:
    """N fooled clips as sounds, and the model's verdicts on them."""

    attacks: list[str]
    """Names of the attacks that found the examples."""
    renderings: list[Rendering]
    verdicts: Integers
    """Verdicts on the features of the adversarial sounds, shape (N,)."""
    clips: Strings
    groups: Strings
    """Recordings of the clips, shape (N,)."""
    labels: Integers
    targets: Integers

    def metrics(self) -> dict[str, float]:
        """Count the sounds; compute the share that still reaches its target, and the medians of SNR and errors."""
        survived = rates.rate("survival_rate", self.verdicts == self.targets, self.groups)
        values = {"clips": len(self.clips), **survived}
        measured = {
            "snr_db_median": [ratio for each in self.renderings if np.isfinite(ratio := each.snr_db)],
            "band_error_median": [each.band_error for each in self.renderings],
            "chromagram_error_median": [e for each in self.renderings if (e := each.chromagram_error) is not None],
        }
        return values | {name: float(np.median(found)) for name, found in measured.items() if found}
