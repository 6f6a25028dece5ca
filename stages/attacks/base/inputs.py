"""What an attack is given: clips, the classes that they are to be moved into, and where it may begin."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stages.attacks.base.targets import draw_targets
from stages.core import seeding
from stages.core.arrays import Integers, Strings
from stages.models.victim import Victim
from stages.stores.features import Features


@dataclass(frozen=True)
class AttackInputs:
    """N clips as an attack on a model is given them, with their targets and their randomness."""

    clips: Strings
    """Names of the clips, shape (N,)."""
    images: Tensor
    """Images of the clips, shape (N, 1, height, width), in [0, 1]."""
    labels: Tensor
    """Classes of the clips, shape (N,)."""
    targets: Tensor
    """Wrong classes that the attack aims at, shape (N,)."""
    eligible: Tensor
    """Mask of the clips that the model predicts right, bool, shape (N,): their target is not predicted already."""
    seeds: Tensor
    """Seeds of each clip's own randomness, shape (N,), on the CPU."""
    starts: Tensor
    """Images of the target class, where some attacks begin, or the clip itself if there is none; shaped as `images`."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor) -> "AttackInputs":
        """Pick some clips by their positions or by a mask, given on the CPU."""
        names = ("images", "labels", "targets", "eligible", "seeds", "starts")
        return AttackInputs(clips=self.clips[rows.numpy()], **{name: getattr(self, name)[rows] for name in names})

    def to(self, device: torch.device) -> "AttackInputs":
        """Move the clips to a device."""
        moved = {name: getattr(self, name).to(device) for name in ("images", "labels", "targets", "starts")}
        return replace(self, **moved)

    def subsample(self, most: int) -> "AttackInputs":
        """Pick at most `most` clips, evenly spaced, which mixes the classes of a sorted store."""
        rows = np.linspace(0, len(self) - 1, min(most, len(self))).astype(int)
        return self[torch.from_numpy(rows)]

    def eligible_only(self) -> "AttackInputs":
        """Pick the eligible clips: those that are attacked."""
        return self[torch.nonzero(self.eligible).flatten()]

    def starting_from(self, points: "StartingPoints") -> "AttackInputs":
        """Let the attack begin from the nearest point of each target class."""
        return replace(self, starts=points.nearest(self.images, self.targets))

    def generators(self) -> list[torch.Generator]:
        """Make a generator on the CPU for each clip, so that neither batch nor order changes what a clip draws."""
        return [torch.Generator().manual_seed(int(seed)) for seed in self.seeds]


@dataclass(frozen=True)
class StartingPoints:
    """Images that the model puts in their class, for attacks that begin from an image of the target class."""

    images: Tensor
    """Images that the model predicts right, shape (M, 1, height, width)."""
    labels: Tensor
    """Classes of the images, shape (M,)."""

    def nearest(self, images: Tensor, targets: Tensor) -> Tensor:
        """Find for each image the nearest of its target class, in L2, or itself if there is none; shape as given."""
        found = images.clone()
        for row, (image, target) in enumerate(zip(images, targets, strict=True)):
            candidates = self.images[self.labels == target]
            if len(candidates):
                found[row] = candidates[(candidates - image).flatten(1).norm(dim=1).argmin()]
        return found


NO_STARTING_POINTS = StartingPoints(torch.zeros(0), torch.zeros(0, dtype=torch.int64))


def attack_inputs(victim: Victim, features: Features, positions: Integers, seed: int) -> AttackInputs:
    """Prepare the clips at some positions of the feature store for an attack.

    Args:
        victim: the model; it decides which clips are eligible.
        features: the feature store, of N clips in all.
        positions: positions of the clips wanted.
        seed: the run's seed; it draws the targets and each clip's own seed.
    """
    clips, labels = features.clips[positions], features.labels[positions]
    targets = draw_targets(seed, clips, labels, len(features.classes))
    seeds = [seeding.generator(seed, "attack", clip).integers(2**62) for clip in clips]
    images = torch.from_numpy(features.features[positions])
    predicted = victim.predict(images).cpu()
    return AttackInputs(
        clips=clips,
        images=images,
        labels=torch.from_numpy(labels),
        targets=torch.from_numpy(targets),
        eligible=predicted == torch.from_numpy(labels),
        seeds=torch.tensor(seeds, dtype=torch.int64),
        starts=images,
    )
