"""From sound files to images: each clip's own, and those of its augmented copies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import torch
from torch import nn

from stages.audio import decoding
from stages.audio.augment import WaveformAugmentParams, augmented_copy
from stages.audio.decoding import AudioParams, Waveform
from stages.core import seeding
from stages.core.compute import ComputeParams
from stages.core.device import make_deterministic, pick_device, without_mps
from stages.core.params import Parameters
from stages.representations.base import Image, Representation

BATCH = 8
"""Number of clips that are transformed together; the same on every machine, since it decides how sums are rounded."""


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

    def front_end(self) -> nn.Module:
        """Build the front end, on the CPU."""
        return self.representation.module(self.audio.samples, self.audio.sample_rate)

    def silence(self) -> Image:
        """Make the image of silence, shape (height, width)."""
        return self.representation.image(np.zeros(self.audio.samples, np.float32), self.audio.sample_rate)

    def sounds(self, file: Path, clip: str) -> Waveform:
        """Read a clip, and make its augmented copies.

        Args:
            file: file of the clip's sound.
            clip: name of the clip, from which the copies' randomness is drawn.

        Returns:
            the clip, then its copies, shape (1 + copies, samples).
        """
        waveform, rate = decoding.load(file, self.audio), self.audio.sample_rate
        generators = (seeding.generator(self.seed, "variant", clip, number) for number in range(self.augment.copies))
        return np.stack([waveform, *(augmented_copy(waveform, rate, self.augment, rng) for rng in generators)])

    def images(self, front_end: nn.Module, device: torch.device, folder: Path, clips: Sequence[str]) -> Image:
        """Make the images of some clips, shape (clips, 1 + copies, height, width)."""
        # Threads share the cores by batches: within one, PyTorch's own would only get in each other's way.
        torch.set_num_threads(1)
        sounds = torch.from_numpy(np.stack([self.sounds(folder / clip, clip) for clip in clips])).to(device)
        with torch.no_grad():
            images = [front_end(version)[:, 0] for version in sounds.unbind(1)]
        return torch.stack(images, 1).cpu().numpy()


def extract(folder: Path, clips: Sequence[str], extraction: Extraction, compute: ComputeParams) -> Iterator[Image]:
    """Yield the images of each clip, in their order, whatever the number of threads; begin at the first request.

    Threads read the clips, and transform them in batches on the device.
    """
    make_deterministic()
    device = without_mps(pick_device(compute))
    front_end = extraction.front_end().to(device)
    batches = (clips[start : start + BATCH] for start in range(0, len(clips), BATCH))
    tasks = (joblib.delayed(extraction.images)(front_end, device, folder, batch) for batch in batches)
    for images in joblib.Parallel(n_jobs=compute.jobs, backend="threading", return_as="generator")(tasks):
        yield from images
