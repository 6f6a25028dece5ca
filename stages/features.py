"""Stage `features`: every clip's image, and those of its variants, in one representation."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np

from stages import audio, clips, console, origins, params, paths, representations, seeding, stores
from stages.audio import AudioParams
from stages.compute import ComputeParams
from stages.params import Parameters
from stages.representations import Image, Representation
from stages.variants import VariantParams, variant


class FeaturesParams(Parameters):
    """What is stored beside each clip's own image."""

    augment: VariantParams


@dataclass(frozen=True)
class Extraction:
    """How a sound file becomes images."""

    transform: Representation
    sound: AudioParams
    augment: VariantParams
    seed: int

    def shape(self) -> tuple[int, int, int]:
        """Of what is made of one clip: (1 + variants, height, width)."""
        silence = self.transform.image(np.zeros(self.sound.samples, np.float32), self.sound.sample_rate)
        return 1 + self.augment.variants, *silence.shape

    def images(self, file: Path, clip: str) -> Image:
        """The clip's image, then those of its variants.

        Args:
            file: of its sound.
            clip: its name, of which the variants' randomness is drawn.

        Returns:
            shape (1 + variants, height, width).
        """
        rate, waveform = self.sound.sample_rate, audio.load(file, self.sound)
        generators = (seeding.generator(self.seed, "variant", clip, number) for number in range(self.augment.variants))
        sounds = [waveform, *(variant(waveform, rate, self.augment, rng) for rng in generators)]
        return np.stack([self.transform.image(sound, rate) for sound in sounds])


def main(representation: str) -> None:
    """Write data/features/<representation>.h5."""
    settings: FeaturesParams = params.read("features", FeaturesParams)
    sound: AudioParams = params.read("audio", AudioParams)
    seed: int = params.read("seed", params.Seed)
    extraction = Extraction(representations.load(representation), sound, settings.augment, seed)
    compute: ComputeParams = params.read("compute", ComputeParams)
    table = clips.read(paths.CLIPS)
    classes = sorted(set(table.label))
    columns = {
        "labels": np.array([classes.index(label) for label in table.label], np.int64),
        "folds": table.fold.to_numpy(np.int64),
        "clips": table.path.to_numpy(np.str_),
        "groups": table.group.to_numpy(np.str_),
    }
    attributes = {"classes": classes, "sample_rate": sound.sample_rate, **origins.origin(representation)}
    images = extract(paths.RAW, list(table.path), extraction, compute.processes)
    counted = console.progress(images, what=f"features {representation}", total=len(table))
    stores.write_features(paths.features(representation), columns, counted, extraction.shape(), attributes)


def extract(folder: Path, clips: list[str], extraction: Extraction, processes: int) -> Iterator[Image]:
    """Images of each clip, in their order, whatever the number of processes; begun when the first is asked for."""
    tasks = (joblib.delayed(extraction.images)(folder / clip, clip) for clip in clips)
    yield from joblib.Parallel(n_jobs=processes, return_as="generator")(tasks)


if __name__ == "__main__":
    console.run(main)
