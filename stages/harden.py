"""Stage `harden`: the baseline, trained further against adversarial clips."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stages import (
    checkpoints,
    console,
    crafting,
    curves,
    defenses,
    learning,
    lessons,
    params,
    processes,
    resumption,
    stores,
    trials,
)
from stages.attacks._descent import descend
from stages.augmentation import AugmentationParams
from stages.defenses import Defense
from stages.learning import Record, Score
from stages.lessons import Batch, LearningParams, Lesson
from stages.params import Count, Name, Number, Parameters
from stages.prediction import Victim
from stages.stores import Adversarial
from stages.trials import Trial


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
    lesson: Lesson

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the mixed images, and their logits."""
        images = self.images(processes.bare(model), batch)
        return learning.cross_entropy(model, images, batch, self.lesson.recipe.label_smoothing)

    def images(self, model: nn.Module, batch: Batch) -> Tensor:
        """The images to train on in place of a batch's."""
        chosen = defenses.drawn_crafted(batch, self.exists, self.share, self.lesson.seed)
        targets = defenses.random_targets(batch, self.classes, len(self.exists), self.lesson.seed)
        images = batch.images.clone()
        images[chosen] = batch.like(self.crafted, self.lesson.augmentation)[chosen]
        images[~chosen] = self.defense.images(model, images[~chosen], targets[~chosen], self.lesson.compute)
        return images


def main(representation: str, architecture: str, fold: str) -> None:
    """Write the hardened weights and their training curve."""
    settings: HardenParams = params.read("harden", HardenParams)
    augmentation: AugmentationParams = params.read("augmentation", AugmentationParams)
    defense = defenses.load(settings.method)
    trial = trials.begin(representation, architecture, fold)
    model = trial.model("baseline")
    crafted = crafted_clips(trial)
    lesson = lessons.begin(trial, settings.learning, augmentation)
    mixture = Mixture(
        defense,
        torch.from_numpy(crafted.adversarial),
        torch.from_numpy(crafted.success),
        settings.crafted_share,
        len(trial.store.classes),
        lesson,
    )
    validation = trial.clips(trial.split.validation)
    made_from = (*lesson.made_from, *validation, model, settings, defense, mixture.crafted, mixture.exists)
    with resumption.scratch(trial.cell.stage("harden"), *made_from) as scratch:
        record = Record(f"harden {trial.cell}", trial.cell.curve("hardened"), scratch)
        curve = learning.fit(model, lesson, mixture, Probe(settings.probe, trial), record)
        if processes.is_first():
            facts = lesson.facts | curves.summary(curve) | {"defense": f"{settings.method} {defense.model_dump_json()}"}
            checkpoints.write(trial.cell.model("hardened"), model, trial.card, facts)


def crafted_clips(trial: Trial) -> Adversarial:
    """The adversarial training set.

    Raises:
        InputError: it is of other clips than those that are trained on.
    """
    file, stage = trial.cell.crafted(), trial.cell.stage("craft")
    crafted = stores.read_adversarial(file, stage)
    if not np.array_equal(crafted.clip, trial.store.clips[trial.split.train]):
        raise console.InputError(f"{file} holds other clips than the training set; run `dvc repro {stage}`")
    return crafted


class Probe:
    """Judges a model in hardening: validation clips that stay right under a short targeted attack."""

    def __init__(self, settings: ProbeParams, trial: Trial) -> None:
        self.settings, self.trial = settings, trial

    def __call__(self, model: nn.Module) -> Score:
        """The mean of clean and robust accuracy: robustness that costs as much accuracy as it brings is no gain."""
        trial = self.trial
        victim = Victim(model, trial.compute)
        case = crafting.case(victim, trial.store, trial.split.validation, trial.seed)
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
