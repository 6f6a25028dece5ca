"""From an attack to an adversarial store: which clips are attacked, with which targets, and how it is measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stages import robustness
from stages.attacks import Attack, Clips, SearchParams
from stages.prediction import Victim
from stages.stores import Adversarial, Features, Images, Integers


@dataclass(frozen=True)
class Case:
    """Clips of a feature store, with their targets, before a victim."""

    clip: np.ndarray[Any, np.dtype[np.str_]]
    label: Integers
    target: Integers
    images: Images
    eligible: np.ndarray[Any, np.dtype[np.bool_]]
    """Predicted right: then the target, a wrong class, is not what is predicted already."""

    def clips(self, most: int | None = None) -> Clips:
        """The eligible clips, all or the first `most` in an order that mixes the classes."""
        positions = np.flatnonzero(self.eligible)
        if most is not None:
            positions = positions[np.linspace(0, len(positions) - 1, min(most, len(positions))).astype(int)]
        return Clips(torch.from_numpy(self.images[positions]), torch.from_numpy(self.target[positions]))


def case(victim: Victim, store: Features, positions: Integers, seed: int) -> Case:
    """The clips at some positions of the store, as the victim sees them."""
    clip, label, images = store.clips[positions], store.labels[positions], store.features[positions]
    target = robustness.targets(seed, clip, label, len(store.classes))
    predicted = victim.predict(torch.from_numpy(images)).cpu().numpy()
    return Case(clip, label, target, images, predicted == label)


def attacked(
    case: Case,
    victim: Victim,
    attack: Attack,
    search: SearchParams,
    what: str,
    attributes: Mapping[str, Any],
    enough: float = 1.0,
) -> Adversarial:
    """Attack the eligible clips and measure what comes of it.

    Args:
        case: the clips.
        victim: who is to be fooled.
        attack: with its parameters as tuned.
        search: how the smallest budget is searched.
        what: the work, for progress.
        attributes: of the store.
        enough: share of fooled clips after which the search may end.
    """
    found = attack.search(victim, case.clips(), search, what, enough)
    adversarial, queries = case.images.copy(), np.zeros(len(case.clip), np.int64)
    adversarial[case.eligible] = found.adversarial.numpy()
    queries[case.eligible] = found.queries.numpy()
    verdict = victim.predict(torch.from_numpy(adversarial)).cpu().numpy()
    success = case.eligible & (verdict == case.target)
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
