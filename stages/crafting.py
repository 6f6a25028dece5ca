"""From an attack to an adversarial store: which clips are attacked, with which targets, and how it is measured."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stages import processes, resumption, robustness, seeding
from stages.attacks import Attack, Clips, Found, SearchParams
from stages.console import Progress
from stages.prediction import Victim
from stages.resumption import Scratch
from stages.stores import Adversarial, Features, Images, Integers, Strings

SHARD = 32
"""Clips that are attacked, and kept, together: fixed, so that neither device nor batch size changes what is found."""


@dataclass(frozen=True)
class Starts:
    """Images that the victim puts in their class, for attacks that begin from one of the target class."""

    images: Tensor
    """Shape (M, 1, height, width)."""
    labels: Tensor
    """Shape (M,)."""

    def nearest(self, images: Tensor, targets: Tensor) -> Tensor:
        """The nearest in L2 of each target class, or the image itself where there is none; shape of the images."""
        found = images.clone()
        for row, (image, target) in enumerate(zip(images, targets, strict=True)):
            candidates = self.images[self.labels == target]
            if len(candidates):
                found[row] = candidates[(candidates - image).flatten(1).norm(dim=1).argmin()]
        return found


NO_STARTS = Starts(torch.zeros(0), torch.zeros(0, dtype=torch.int64))


@dataclass(frozen=True)
class Case:
    """Clips of a feature store, with their targets, before a victim."""

    clip: Strings
    label: Integers
    target: Integers
    images: Images
    eligible: npt.NDArray[np.bool_]
    """Predicted right: then the target, a wrong class, is not what is predicted already."""
    seed: int

    def clips(self, most: int | None = None, starts: Starts = NO_STARTS) -> Clips:
        """The eligible clips, all or `most` of them, evenly spaced, which mixes the classes of a sorted store."""
        positions = np.flatnonzero(self.eligible)
        if most is not None:
            positions = positions[np.linspace(0, len(positions) - 1, min(most, len(positions))).astype(int)]
        images, targets = torch.from_numpy(self.images[positions]), torch.from_numpy(self.target[positions])
        draws = [seeding.generator(self.seed, "attack", clip).integers(2**62) for clip in self.clip[positions]]
        return Clips(images, targets, torch.tensor(draws, dtype=torch.int64), starts.nearest(images, targets))


def case(victim: Victim, store: Features, positions: Integers, seed: int) -> Case:
    """The clips at some positions of the store, as the victim sees them."""
    clip, label, images = store.clips[positions], store.labels[positions], store.features[positions]
    target = robustness.targets(seed, clip, label, len(store.classes))
    predicted = victim.predict(torch.from_numpy(images)).cpu().numpy()
    return Case(clip, label, target, images, predicted == label, seed)


def starts(attack: Attack, victim: Victim, store: Features, positions: Integers) -> Starts:
    """What an attack may begin from: clips at those positions that the victim gets right, or none if it needs none."""
    if not attack.begins_elsewhere:
        return NO_STARTS
    images, labels = torch.from_numpy(store.features[positions]), torch.from_numpy(store.labels[positions])
    right = victim.predict(images).cpu() == labels
    return Starts(images[right], labels[right])


@contextmanager
def attacked(
    case: Case,
    starts: Starts,
    victim: Victim,
    attack: Attack,
    search: SearchParams,
    what: str,
    attributes: Mapping[str, Any],
    enough: float = 1.0,
) -> Iterator[Adversarial]:
    """Attack the eligible clips, shared out among the processes, and measure what comes of it.

    The block writes it down: when it succeeds, the scratch of the attack is removed.

    Args:
        case: the clips.
        starts: what the attack may begin from.
        victim: who is to be fooled.
        attack: with its parameters as tuned.
        search: how the smallest budget is searched.
        what: the work, for progress.
        attributes: of the store.
        enough: share of the clips of a shard after which its search may end.
    """
    # Devices may round differently: what the first process chose holds.
    case, attack, clips = processes.of_first((case, attack, case.clips(starts=starts)))
    settings = (*attack.made_from, search, victim.model, repr(enough))
    with resumption.scratch(what, *settings, clips.images, clips.targets, clips.seeds, clips.starts) as scratch:
        found = _found(clips, victim, attack, search, what, enough, scratch)
        yield _measured(case, found, victim, attack, attributes)


def _measured(case: Case, found: Found, victim: Victim, attack: Attack, attributes: Mapping[str, Any]) -> Adversarial:
    """All clips of the case, with the examples of those that the stored array fools."""
    adversarial, queries = case.images.copy(), np.zeros(len(case.clip), np.int64)
    adversarial[case.eligible] = found.adversarial.numpy()
    queries[case.eligible] = found.queries.numpy()
    verdict = victim.predict(torch.from_numpy(adversarial)).cpu().numpy()
    success = case.eligible & (verdict == case.target)
    adversarial[~success] = case.images[~success]
    sizes = robustness.sizes(case.images, adversarial)
    cost: Images = np.where(success, getattr(sizes, attack.norm), np.inf).astype(np.float32)
    return Adversarial(
        clip=case.clip,
        label=case.label,
        target=case.target,
        eligible=case.eligible,
        success=success,
        cost=cost,
        size_linf=sizes.linf,
        size_l2=sizes.l2,
        size_l1=sizes.l1,
        queries=queries,
        clean=case.images,
        adversarial=adversarial,
        attributes=attributes,
    )


def _found(
    clips: Clips,
    victim: Victim,
    attack: Attack,
    search: SearchParams,
    what: str,
    enough: float,
    scratch: Scratch,
) -> Found:
    """The cheapest examples, shard by shard, those that a killed run left in the scratch first."""
    kept = processes.of_first(scratch.read())
    found = Found(**kept) if kept else Found.nothing(clips[torch.arange(0)])
    progress = Progress(what, len(clips), done=len(found.cost))
    while (done := len(found.cost)) < len(clips):
        begin = done + processes.rank() * SHARD
        rows = torch.arange(len(clips))[begin : begin + SHARD]
        shards = processes.gathered(_found_at(rows, clips, victim, attack, search, enough))
        found = Found.joined([found, *shards])
        if processes.is_first():
            scratch.write(vars(found))
            progress.add(len(found.cost) - done, note=f"{found.fooled.float().mean():.0%} fooled at some size")
    progress.close()
    return found


def _found_at(rows: Tensor, clips: Clips, victim: Victim, attack: Attack, search: SearchParams, enough: float) -> Found:
    """The cheapest examples of one shard; none where there are more processes than shards."""
    if not len(rows):
        return Found.nothing(clips[rows])
    # Foolbox's DDN draws where a gradient vanishes: not what it drew for other shards.
    torch.manual_seed(int(clips.seeds[rows[0]]))
    return attack.search(victim, clips[rows], search, enough)
