"""One clip, crafted by every attack at growing budgets (figure 1 of the study)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from stages.attacks.base.fixed_budget import FixedBudget
from stages.attacks.base.inputs import AttackInputs
from stages.core.arrays import Images
from stages.evaluation.assessment import Evaluation
from stages.evaluation.stored_attacks import StoredAttack
from stages.models.victim import Victim
from stages.reporting import figures
from stages.reporting.assets import Asset
from stages.representations.base import Image
from stages.stores.adversarial import Adversarial

FACTORS = (1.0, 2.0, 4.0, 8.0)
"""Budgets shown, as multiples of the one reported."""


@dataclass(frozen=True)
class Panel:
    """The example of one attack at one budget."""

    image: Image
    verdict: str
    """Class that the victim takes the image for."""


@dataclass(frozen=True)
class Gallery:
    """One clip, and the examples that the attacks make of it."""

    clean: Image
    verdict: str
    """Class that the victim takes the clean clip for."""
    label: str
    target: str
    clip: str
    budgets: tuple[float, ...]
    rows: Mapping[str, list[Panel]]
    """Panels by attack, one per budget; empty where the attack has nothing to show."""

    def contact_sheet(self) -> bytes:
        """Draw the whole gallery as one PNG."""
        drawn = {name: [(panel.image, panel.verdict) for panel in row] for name, row in self.rows.items()}
        return figures.contact_sheet(self.clean, self.label, self.budgets, drawn)

    def asset(self) -> Asset:
        """Draw a picture of the clip, of every example and of every difference, and gather them as an asset."""
        pictures = {"clean.png": figures.spectrogram(self.clean)}
        rows = []
        for name, panels in self.rows.items():
            row = []
            for number, (panel, budget) in enumerate(zip(panels, self.budgets, strict=False)):
                names = {"image": f"{name}-{number}.png", "difference": f"{name}-{number}-difference.png"}
                pictures[names["image"]] = figures.spectrogram(panel.image)
                pictures[names["difference"]] = figures.difference(panel.image - self.clean, budget)
                row.append({"verdict": panel.verdict, "budget": budget, **names})
            rows.append({"attack": name, "panels": row})
        facts = {"clip": self.clip, "label": self.label, "target": self.target, "verdict": self.verdict}
        return Asset("gallery", facts | {"clean": "clean.png", "rows": rows, "budgets": list(self.budgets)}, pictures)


def of_model(evaluation: Evaluation) -> Gallery:
    """Make the gallery of an evaluated model, from a clip on which most attacks fooled the baseline."""
    image = evaluation.image
    row = typical(image.baseline or image.stores, image.inputs)
    return build(image.victim, image.attacks, image.inputs, row, evaluation.classes, image.budget)


def build(
    victim: Victim,
    attacks: Mapping[str, StoredAttack],
    inputs: AttackInputs,
    row: int,
    classes: tuple[str, ...],
    eps: float,
) -> Gallery:
    """Make the gallery of one clip.

    Args:
        victim: the model that is shown the images.
        attacks: the attacks on images, with what they found.
        inputs: the clips.
        row: place of the clip among the clips.
        classes: names of the classes.
        eps: the budget reported.
    """
    budgets = tuple(min(eps * factor, 1.0) for factor in FACTORS)
    rows = {
        name: _panels(victim, crafted(victim, each, inputs, row, budgets), classes) for name, each in attacks.items()
    }
    (clean,) = _panels(victim, inputs.clean[row : row + 1].numpy(), classes)
    return Gallery(
        clean=clean.image,
        verdict=clean.verdict,
        label=classes[int(inputs.labels[row])],
        target=classes[int(inputs.targets[row])],
        clip=str(inputs.clips[row]),
        budgets=budgets,
        rows=rows,
    )


def crafted(victim: Victim, stored: StoredAttack, inputs: AttackInputs, row: int, budgets: tuple[float, ...]) -> Images:
    """Make the examples of one clip by one attack within each budget.

    An attack that is given a budget is run. The example that any other attack found is scaled to the budget.

    Returns:
        the examples, shape (budgets, 1, height, width), or (0, ...) where there are none.
    """
    attack, store = stored.attack, stored.store
    if isinstance(attack, FixedBudget):
        limits = torch.tensor(budgets, device=victim.device).reshape(-1, 1, 1, 1)
        copies = inputs[torch.full((len(budgets),), row)].to(victim.device)
        found: Images = attack.examples(victim.as_foolbox(), copies, limits, copies.clean).examples.cpu().numpy()
        return found.clip(0, 1)
    images = np.repeat(store.clean[row : row + 1], len(budgets), axis=0)
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


def typical(stores: Mapping[str, Adversarial], inputs: AttackInputs) -> int:
    """Find the clip that most attacks fooled, at the median size of such clips, by its place in the stores.

    The clip is one that was attacked, if any was.
    """
    successes = [store.success for store in stores.values()]
    eligible = next((store.eligible for store in stores.values()), inputs.eligible.numpy())
    fooled = np.sum([eligible, *successes], axis=0)
    rows = np.flatnonzero(fooled == fooled.max())
    sizes = next((store.sizes["linf"] for store in stores.values()), np.zeros(len(inputs)))
    return int(rows[np.argsort(sizes[rows], kind="stable")[len(rows) // 2]])
