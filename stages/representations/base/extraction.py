"""From sound files to images: each clip's own, and those of its augmented copies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np

from stages.audio import decoding
from stages.audio.augment import WaveformAugmentParams, augmented_copy
from stages.audio.decoding import AudioParams
from stages.core import seeding
from stages.core.params import Parameters
from stages.representations.base import Image, Representation


class FeaturesParams(Parameters):
    """The settings of the augmented copies that are stored beside each clip's own image."""

    augment: WaveformAugmentParams


@dataclass(frozen=True)
class Extraction:
    """The settings by which a sound file becomes images."""

    representation: Representation
    audio: AudioParams
    augment: WaveformAugmentParams
    seed: int

    def shape(self) -> tuple[int, int, int]:
        """Compute the shape of one clip's images: (1 + copies, height, width)."""
        silence = self.representation.image(np.zeros(self.audio.samples, np.float32), self.audio.sample_rate)
        return 1 + self.augment.copies, *silence.shape

    def images(self, file: Path, clip: str) -> Image:
        """Make the clip's image, then those of its augmented copies.

        Args:
            file: file of the clip's sound.
            clip: name of the clip, from which the copies' randomness is drawn.

        Returns:
            the images, shape (1 + copies, height, width).
        """
        rate, waveform = self.audio.sample_rate, decoding.load(file, self.audio)
        generators = (seeding.generator(self.seed, "variant", clip, number) for number in range(self.augment.copies))
        sounds = [waveform, *(augmented_copy(waveform, rate, self.augment, rng) for rng in generators)]
        return np.stack([self.representation.image(sound, rate) for sound in sounds])


def extract(folder: Path, clips: Sequence[str], extraction: Extraction, processes: int) -> Iterator[Image]:
    """Yield the images of each clip, in their order, whatever the number of processes; begin at the first request."""
    tasks = (joblib.delayed(extraction.images)(folder / clip, clip) for clip in clips)
    yield from joblib.Parallel(n_jobs=processes, return_as="generator")(tasks)
