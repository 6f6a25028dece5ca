"""What an attack is given: clips, the classes that they are to be moved into, and where it may begin."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stages.attacks.base.domains import IMAGE, Domain
from stages.attacks.base.targets import draw_targets
from stages.core import seeding
from stages.core.arrays import Integers, Strings
from stages.models.victim import Victim
from stages.stores.features import Features


@dataclass(frozen=True)
class AttackInputs:
    """N clips as an attack on a model is given them, with their targets and their randomness."""

    domain: Domain
    """What the attack changes."""
    clips: Strings
    """Names of the clips, shape (N,)."""
    clean: Tensor
    """The clips in [0, 1]: images, shape (N, 1, height, width), or sounds, shape (N, 1, 1, samples)."""
    labels: Tensor
    """Classes of the clips, shape (N,)."""
    targets: Tensor
    """Wrong classes that the attack aims at, shape (N,)."""
    eligible: Tensor
    """Mask of the clips that the model predicts right, bool, shape (N,): their target is not predicted already."""
    seeds: Tensor
    """Seeds of each clip's own randomness, shape (N,), on the CPU."""
    starts: Tensor
    """Clips of the target class, where some attacks begin, or the clip itself if there is none; shaped as `clean`."""

    def __len__(self) -> int:
        return len(self.clean)

    def __getitem__(self, rows: Tensor) -> "AttackInputs":
        """Pick some clips by their positions or by a mask, given on the CPU."""
        names = ("clean", "labels", "targets", "eligible", "seeds", "starts")
        picked = {name: getattr(self, name)[rows] for name in names}
        return AttackInputs(domain=self.domain, clips=self.clips[rows.numpy()], **picked)

    def to(self, device: torch.device) -> "AttackInputs":
        """Move the clips to a device."""
        moved = {name: getattr(self, name).to(device) for name in ("clean", "labels", "targets", "starts")}
        return replace(self, **moved)

    def subsample(self, most: int) -> "AttackInputs":
        """Pick at most `most` clips, evenly spaced, which mixes the classes of a sorted store."""
        return self[evenly_spaced(len(self), most)]

    def eligible_only(self) -> "AttackInputs":
        """Pick the eligible clips: those that are attacked."""
        return self[torch.nonzero(self.eligible).flatten()]

    def starting_from(self, points: "StartingPoints") -> "AttackInputs":
        """Let the attack begin from the points that there are for these clips, where it may change them."""
        starts = points.starts(self.clean, self.targets)
        return replace(self, starts=self.domain.confined(starts, self.clean))

    def generators(self) -> list[torch.Generator]:
        """Make a generator on the CPU for each clip, so that neither batch nor order changes what a clip draws."""
        return [torch.Generator().manual_seed(int(seed)) for seed in self.seeds]


def evenly_spaced(count: int, most: int) -> Tensor:
    """Choose at most `most` of `count` positions, evenly spaced.

    Example:
        >>> evenly_spaced(9, 3)
        tensor([0, 4, 8])
    """
    return torch.from_numpy(np.linspace(0, count - 1, min(most, count)).astype(np.int64))


@dataclass(frozen=True)
class StartingPoints:
    """Clips that the model puts in their class, for attacks that begin from a clip of the target class."""

    clips: Tensor
    """Clips that the model predicts right, as attacks see them, shape (M, ...)."""
    labels: Tensor
    """Classes of the clips, shape (M,)."""

    def starts(self, clean: Tensor, targets: Tensor) -> Tensor:
        """Find for each clip the nearest of its target class, in L2, or itself if there is none; shape as given."""
        found = clean.clone()
        for row, (clip, target) in enumerate(zip(clean, targets, strict=True)):
            candidates = self.clips[self.labels == target]
            if len(candidates):
                found[row] = candidates[(candidates - clip).flatten(1).norm(dim=1).argmin()]
        return found


NO_STARTING_POINTS = StartingPoints(torch.zeros(0), torch.zeros(0, dtype=torch.int64))


def attack_inputs(
    victim: Victim, features: Features, positions: Integers, seed: int, domain: Domain = IMAGE
) -> AttackInputs:
    """Prepare the clips at some positions of the feature store for an attack.

    Args:
        victim: the model; it decides which clips are eligible.
        features: the feature store, of N clips in all.
        positions: positions of the clips wanted.
        seed: the run's seed; it draws the targets and each clip's own seed.
        domain: what the attack changes, and the victim takes.
    """
    clips, labels = features.clips[positions], features.labels[positions]
    targets = draw_targets(seed, clips, labels, len(features.classes))
    seeds = [seeding.generator(seed, "attack", clip).integers(2**62) for clip in clips]
    clean = domain.clips(features, positions)
    return AttackInputs(
        domain=domain,
        clips=clips,
        clean=clean,
        labels=torch.from_numpy(labels),
        targets=torch.from_numpy(targets),
        eligible=victim.predict(clean).cpu() == torch.from_numpy(labels),
        seeds=torch.tensor(seeds, dtype=torch.int64),
        starts=clean,
    )
