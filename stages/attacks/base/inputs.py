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
    """N clips before a model."""

    clips: Strings
    """Names, shape (N,)."""
    images: Tensor
    """Shape (N, 1, height, width), in [0, 1]."""
    labels: Tensor
    """Shape (N,)."""
    targets: Tensor
    """Wrong classes that are aimed at, shape (N,)."""
    eligible: Tensor
    """Predicted right, bool, shape (N,): then the target is not what is predicted already."""
    seeds: Tensor
    """Of each clip's own randomness, shape (N,), on the CPU."""
    starts: Tensor
    """Images of the target class for attacks that begin there, the clip itself where there is none; as `images`."""

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor) -> "AttackInputs":
        """Pick some clips, by their positions or by a mask, on the CPU."""
        tensors = (self.images, self.labels, self.targets, self.eligible, self.seeds, self.starts)
        images, labels, targets, eligible, seeds, starts = (tensor[rows] for tensor in tensors)
        return AttackInputs(self.clips[rows.numpy()], images, labels, targets, eligible, seeds, starts)

    def to(self, device: torch.device) -> "AttackInputs":
        """Move the clips to a device."""
        moved = {name: getattr(self, name).to(device) for name in ("images", "labels", "targets", "starts")}
        return replace(self, **moved)

    def subsample(self, most: int) -> "AttackInputs":
        """Pick at most so many clips, evenly spaced, which mixes the classes of a sorted store."""
        rows = np.linspace(0, len(self) - 1, min(most, len(self))).astype(int)
        return self[torch.from_numpy(rows)]

    def eligible_only(self) -> "AttackInputs":
        """Pick the clips that are attacked."""
        return self[torch.nonzero(self.eligible).flatten()]

    def generators(self) -> list[torch.Generator]:
        """Make a generator on the CPU for each clip: neither batch nor order changes what it draws."""
        return [torch.Generator().manual_seed(int(seed)) for seed in self.seeds]


@dataclass(frozen=True)
class StartingPoints:
    """Images that the model puts in their class, for attacks that begin from one of the target class."""

    images: Tensor
    """Shape (M, 1, height, width)."""
    labels: Tensor
    """Shape (M,)."""

    def nearest(self, images: Tensor, targets: Tensor) -> Tensor:
        """Find the nearest in L2 of each target class, or the image itself where there is none; shape of the images."""
        found = images.clone()
        for row, (image, target) in enumerate(zip(images, targets, strict=True)):
            candidates = self.images[self.labels == target]
            if len(candidates):
                found[row] = candidates[(candidates - image).flatten(1).norm(dim=1).argmin()]
        return found


def attack_inputs(victim: Victim, features: Features, positions: Integers, seed: int) -> AttackInputs:
    """Prepare the clips at some positions of the feature store to be attacked.

    Args:
        victim: says which of them are eligible.
        features: N clips in all.
        positions: of the clips wanted.
        seed: of the run; draws the targets and each clip's own seed.
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


def with_starting_points(inputs: AttackInputs, victim: Victim, features: Features, positions: Integers) -> AttackInputs:
    """Let the attack begin from the nearest clip of the target class, of those at some positions of the store.

    Args:
        inputs: N clips.
        victim: the model, which must get the starting points right.
        features: the store.
        positions: of the clips that may be starting points.
    """
    images, labels = torch.from_numpy(features.features[positions]), torch.from_numpy(features.labels[positions])
    right = victim.predict(images).cpu() == labels
    points = StartingPoints(images[right], labels[right])
    return replace(inputs, starts=points.nearest(inputs.images, inputs.targets))
