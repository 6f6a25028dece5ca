"""One clip, crafted by every attack at growing budgets (figure 1 of the study)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from stages.attacks import Attack, Clips
from stages.attacks._fixed_budget import FixedBudget
from stages.prediction import Victim
from stages.reporting import figures
from stages.reporting.exhibits import Exhibit
from stages.representations import Image
from stages.stores import Adversarial, Images

FACTORS = (1.0, 2.0, 4.0, 8.0)
"""Budgets shown, as multiples of the one reported."""


@dataclass(frozen=True)
class Panel:
    """One attack at one budget."""

    image: Image
    verdict: str
    """The class that the victim takes it for."""


@dataclass(frozen=True)
class Gallery:
    """One clip and what the attacks make of it."""

    clean: Image
    verdict: str
    """The class that the victim takes the clean clip for."""
    label: str
    target: str
    clip: str
    budgets: tuple[float, ...]
    rows: Mapping[str, list[Panel]]
    """By attack, a panel a budget; empty where the attack has nothing to show."""
    norms: Mapping[str, str]
    """Of the budgets, by attack."""

    def plate(self) -> bytes:
        """All of it as one PNG."""
        drawn = {name: [(panel.image, panel.verdict) for panel in row] for name, row in self.rows.items()}
        return figures.plate(self.clean, self.label, self.budgets, drawn)

    def exhibit(self) -> Exhibit:
        """A picture of the clip, of every example and of every difference."""
        pictures = {"clean.png": figures.spectrogram(self.clean)}
        rows = []
        for name, panels in self.rows.items():
            row = []
            for number, (panel, budget) in enumerate(zip(panels, self.budgets, strict=False)):
                names = {"image": f"{name}-{number}.png", "difference": f"{name}-{number}-difference.png"}
                pictures[names["image"]] = figures.spectrogram(panel.image)
                pictures[names["difference"]] = figures.difference(panel.image - self.clean, budget)
                row.append({"verdict": panel.verdict, "budget": budget, **names})
            rows.append({"attack": name, "norm": self.norms[name], "panels": row})
        facts = {"clip": self.clip, "label": self.label, "target": self.target, "verdict": self.verdict}
        return Exhibit("gallery", facts | {"clean": "clean.png", "rows": rows, "budgets": list(self.budgets)}, pictures)


def build(
    victim: Victim,
    attacks: Mapping[str, Attack],
    stores: Mapping[str, Adversarial],
    row: int,
    classes: tuple[str, ...],
    eps: float,
) -> Gallery:
    """The gallery of one clip.

    Args:
        victim: who is shown the images.
        attacks: as they were run.
        stores: what they found, at least one.
        row: the clip, by its place in the stores.
        classes: their names.
        eps: the budget reported.
    """
    budgets = tuple(min(eps * factor, 1.0) for factor in FACTORS)
    first = next(iter(stores.values()))
    rows = {
        name: _panels(victim, crafted(victim, attacks[name], store, row, budgets), classes)
        for name, store in stores.items()
    }
    label, target = classes[first.label[row]], classes[first.target[row]]
    (clean,) = _panels(victim, first.clean[row : row + 1], classes)
    norms = {name: attack.norm for name, attack in attacks.items()}
    return Gallery(clean.image, clean.verdict, label, target, str(first.clip[row]), budgets, rows, norms)


def crafted(victim: Victim, attack: Attack, store: Adversarial, row: int, budgets: tuple[float, ...]) -> Images:
    """What an attack makes of one clip within each budget, shape (budgets, 1, height, width), or (0, ...) for nothing.

    An attack that is given a budget and the model is run. Of any other, what it found is scaled to the budget.
    """
    images = np.repeat(store.clean[row : row + 1], len(budgets), axis=0)
    if isinstance(attack, FixedBudget) and attack.knowledge == "white box":
        limits = torch.tensor(budgets, device=victim.device).reshape(-1, 1, 1, 1)
        clean = torch.from_numpy(images)
        targets, seeds = torch.full((len(budgets),), int(store.target[row])), torch.zeros(len(budgets))
        clips = Clips(clean, targets, seeds, clean).to(victim.device)
        found: Images = attack.examples(victim.exposed(), clips, limits, clips.images).examples.cpu().numpy()
        return found.clip(0, 1)
    if not store.success[row]:
        return images[:0]
    delta = store.adversarial[row] - store.clean[row]
    scales = np.array(budgets, np.float32) / store.cost[row]
    scaled: Images = np.clip(images + scales[:, None, None, None] * delta, 0, 1)
    return scaled


def _panels(victim: Victim, images: Images, classes: tuple[str, ...]) -> list[Panel]:
    if not len(images):
        return []
    verdicts = victim.predict(torch.from_numpy(images)).tolist()
    return [Panel(image[0], classes[verdict]) for image, verdict in zip(images, verdicts, strict=True)]


def typical(stores: Mapping[str, Adversarial]) -> int:
    """The clip that most attacks fooled, at the median size of such clips, by its place in the stores.

    It is one that was attacked, if any was.
    """
    first = next(iter(stores.values()))
    fooled = np.sum([first.eligible, *(store.success for store in stores.values())], axis=0)
    rows = np.flatnonzero(fooled == fooled.max())
    return int(rows[np.argsort(first.size_linf[rows], kind="stable")[len(rows) // 2]])
