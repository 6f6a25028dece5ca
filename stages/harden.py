"""Stage `harden`: the baseline, trained further against adversarial clips."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stages import checkpoints, console, crafting, defenses, folds, hardware, learning, params, paths, stores
from stages.attacks._descent import descend
from stages.augmentation import AugmentationParams
from stages.compute import ComputeParams
from stages.defenses import Defense
from stages.learning import Batch, LearningParams, Lesson, Score
from stages.params import Count, Name, Number, Parameters
from stages.paths import Cell
from stages.prediction import Victim
from stages.stores import Adversarial, Features


class ProbeParams(Parameters):
    """The attack on the validation clips after each epoch, by which the epoch is chosen."""

    eps: Annotated[Number, Field(gt=0, le=1)]
    steps: Annotated[Count, Field(ge=1)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=1)]


class HardenParams(Parameters):
    """Which defense, and the share of each batch that is crafted clips."""

    method: Name
    crafted_share: Annotated[Number, Field(ge=0, le=1)]
    learning: LearningParams
    probe: ProbeParams


@dataclass(frozen=True)
class Mixture:
    """What a hardening batch is made of: crafted clips for a share, the defense's images for the rest."""

    defense: Defense
    crafted: Tensor
    """Crafted clips, shape (N, 1, height, width)."""
    exists: Tensor
    """Whether crafting succeeded, shape (N,)."""
    share: float
    classes: int
    seed: int
    augmentation: AugmentationParams
    compute: ComputeParams

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The images of a batch."""
        chosen = defenses.drawn_crafted(batch, self.exists, self.share, self.seed)
        targets = defenses.random_targets(batch, self.classes, len(self.exists), self.seed)
        images = batch.images.clone()
        images[chosen] = batch.like(self.crafted, self.augmentation)[chosen]
        images[~chosen] = self.defense.images(model, images[~chosen], targets[~chosen], self.compute)
        return images


def main(representation: str, architecture: str, fold: str) -> None:
    """Write the hardened weights and their training curve."""
    cell = Cell(representation, architecture, int(fold))
    settings: HardenParams = params.read("harden", HardenParams)
    augmentation: AugmentationParams = params.read("augmentation", AugmentationParams)
    compute: ComputeParams = params.read("compute", ComputeParams)
    seed: int = params.read("seed", params.Seed)
    share: float = params.read("dataset.validation_share", params.Number)
    defense = defenses.load(settings.method)
    store = stores.read_features(paths.features(representation), f"features@{representation}")
    split = folds.split(store, cell.fold, share, seed)
    hardware.repeatable(seed)
    card = checkpoints.card(architecture, store)
    model = checkpoints.read(cell.model("baseline"), card, cell.stage("baseline"))
    crafted = crafted_clips(cell, store, split)
    images, labels = (learning.select(values, split.train) for values in (store.features, store.labels))
    lesson = Lesson(images, labels, settings.learning, augmentation, seed, compute)
    mixture = Mixture(
        defense,
        torch.from_numpy(crafted.adversarial),
        torch.from_numpy(crafted.success),
        settings.crafted_share,
        len(store.classes),
        seed,
        augmentation,
        compute,
    )
    probe = Probe(settings.probe, store, split, seed, compute)
    curve = learning.fit(model, lesson, probe, mixture, f"harden {cell}")
    checkpoints.write(cell.model("hardened"), model, card)
    learning.write_curve(cell.curve("hardened"), curve)


def crafted_clips(cell: Cell, store: Features, split: folds.Split) -> Adversarial:
    """The adversarial training set.

    Raises:
        InputError: it is of other clips than those that are trained on.
    """
    stage = f"craft@{cell.representation}-{cell.architecture}-{cell.fold}"
    crafted = stores.read_adversarial(cell.crafted(), stage)
    if not np.array_equal(crafted.clip, store.clips[split.train]):
        raise console.InputError(f"{cell.crafted()} holds other clips than the training set; run `dvc repro {stage}`")
    return crafted


class Probe:
    """Judges a model in hardening: validation clips that stay right under a short targeted attack."""

    def __init__(
        self, settings: ProbeParams, store: Features, split: folds.Split, seed: int, compute: ComputeParams
    ) -> None:
        self.settings, self.store, self.positions = settings, store, split.validation
        self.seed, self.compute = seed, compute

    def __call__(self, model: nn.Module) -> Score:
        """The mean of clean and robust accuracy: robustness that costs as much accuracy as it brings is no gain."""
        victim = Victim(model, self.compute)
        case = crafting.case(victim, self.store, self.positions, self.seed)
        clips = case.clips()
        settings, exposed, held = self.settings, victim.exposed(), 0
        for images, targets in zip(victim.batches(clips.images), victim.batches(clips.targets), strict=True):
            budget = images.new_full((len(images), 1, 1, 1), settings.eps)
            examples = descend(
                exposed, images, targets, budget, steps=settings.steps, rel_stepsize=settings.rel_stepsize
            )
            held += int((victim.predict(examples) != targets).sum())
        accuracy, robust = float(case.eligible.mean()), held / len(case.eligible)
        return Score(value=(accuracy + robust) / 2, accuracy=accuracy)


if __name__ == "__main__":
    console.run(main)
