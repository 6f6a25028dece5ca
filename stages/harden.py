"""Stage `harden`: the baseline, trained further against adversarial clips."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stages import (
    baselines,
    checkpoints,
    console,
    crafting,
    curves,
    defenses,
    hardware,
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
from stages.compute import ComputeParams
from stages.defenses import Defense
from stages.defenses._weights import displaced
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
    """Which defense, from which weights, with which share of crafted clips, at which perturbation of weights."""

    method: Name
    start: Literal["baseline", "scratch"]
    crafted_share: Annotated[Number, Field(ge=0, le=1)]
    awp: Annotated[Number, Field(ge=0, le=1)]
    learning: LearningParams
    probe: ProbeParams


@dataclass(frozen=True)
class Hardening:
    """The loss of a batch whose clips give way to crafted ones, for a share, and to the defense's adversaries."""

    defense: Defense
    crafted: Tensor
    """Crafted clips, shape (N, 1, height, width)."""
    exists: Tensor
    """Whether crafting succeeded, shape (N,)."""
    settings: HardenParams
    lesson: Lesson

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The defense's loss, at weights that are the worst nearby if `awp` asks for them, and logits."""
        bare = processes.bare(model)
        adversarial = self.adversarial(bare, batch)

        def loss(network: nn.Module) -> tuple[Tensor, Tensor]:
            return self.defense.loss(network, adversarial, batch, self.lesson.recipe.label_smoothing)

        def cast(network: nn.Module) -> tuple[Tensor, Tensor]:
            # A displaced network is past Fabric's wrapper, which chooses the precision otherwise.
            with hardware.autocast(self.lesson.compute):
                return loss(network)

        if not self.settings.awp:
            return loss(model)
        return cast(displaced(bare, lambda network: cast(network)[0], self.settings.awp))

    def adversarial(self, model: nn.Module, batch: Batch) -> Tensor:
        """The images to train on in place of a batch's."""
        count, seed = len(self.exists), self.lesson.seed
        share = self.settings.crafted_share if self.defense.takes_crafted else 0.0
        crafted = defenses.drawn_crafted(batch, self.exists, share, seed)
        targets = defenses.random_targets(batch, len(self.lesson.classes), count, seed)
        images = batch.images.clone()
        if crafted.any():
            images[crafted] = batch.like(self.crafted, self.lesson.augmentation)[crafted]
        if not crafted.all():
            images[~crafted] = self.defense.adversaries(model, batch.only(~crafted), targets[~crafted], self.lesson)
        return images


def main(representation: str, architecture: str, fold: str) -> None:
    """Write the hardened weights and their training curve."""
    settings: HardenParams = params.read("harden", HardenParams)
    augmentation: AugmentationParams = params.read("augmentation", AugmentationParams)
    defense = defenses.load(settings.method)
    trial = trials.begin(representation, architecture, fold)
    require_one_process(settings, trial.compute)
    model = trial.model("baseline") if settings.start == "baseline" else trial.fresh_model()
    crafted = crafted_clips(trial)
    lesson = replace(lessons.begin(trial, settings.learning, augmentation), replays=defense.replays)
    exists = torch.from_numpy(crafted.success)
    hardening = Hardening(defense, torch.from_numpy(crafted.adversarial), exists, settings, lesson)
    judge, validation = judge_of(defense, settings.probe, trial), trial.clips(trial.split.validation)
    # The judge's targets are drawn for the names of its clips.
    judged = "\0".join(trial.store.clips[trial.split.validation])
    made_from = (*lesson.made_from, *validation, judged, model, settings, defense, hardening.crafted, exists)
    watch = curves.collapsed if defense.single_step else learning.never
    with resumption.scratch(trial.cell.stage("harden"), *made_from) as scratch:
        record = Record(f"harden {trial.cell}", trial.cell.curve("hardened"), scratch)
        curve = learning.fit(model, lesson, hardening, judge, record, watch)
        if processes.is_first():
            facts = lesson.facts | curves.summary(curve) | {"defense": f"{settings.method} {defense.model_dump_json()}"}
            checkpoints.write(trial.cell.model("hardened"), model, trial.card, facts)


def require_one_process(settings: HardenParams, compute: ComputeParams) -> None:
    """Raise an InputError if weights are to be perturbed by several processes, which would not agree on them."""
    if settings.awp and compute.processes_together > 1:
        raise console.InputError(
            f"harden.awp: must be 0 where {compute.processes_together} processes train together (compute.devices x "
            f"compute.nodes); found {settings.awp}"
        )


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


def judge_of(defense: Defense, probe: ProbeParams, trial: Trial) -> Callable[[nn.Module], Score]:
    """Scores a model after each epoch, on the validation clips."""
    if defense.hardens:
        return Probe(probe, trial)
    images, labels = trial.clips(trial.split.validation)
    return partial(baselines.accuracy, images=images, labels=labels, compute=trial.compute)


class Probe:
    """Judges a model in hardening: validation clips that stay right under a short targeted attack."""

    def __init__(self, settings: ProbeParams, trial: Trial) -> None:
        self.settings, self.trial = settings, trial

    def __call__(self, model: nn.Module) -> Score:
        """Robust accuracy: the share of all clips that are predicted right, and still are under the attack."""
        trial = self.trial
        victim = Victim(model, trial.compute)
        case = crafting.case(victim, trial.store, trial.split.validation, trial.seed)
        if not case.eligible.any():
            return Score(value=0.0, accuracy=0.0, clips=len(case.eligible))
        clips, settings, exposed = case.clips(), self.settings, victim.exposed()
        labels = torch.from_numpy(case.label[case.eligible])
        batches = (victim.batches(each) for each in (clips.images, clips.targets, labels))
        held = 0
        for images, targets, own in zip(*batches, strict=True):
            budget = images.new_full((len(images), 1, 1, 1), settings.eps)
            examples = descend(
                exposed, images, targets, budget, steps=settings.steps, rel_stepsize=settings.rel_stepsize
            )
            held += int((victim.predict(examples) == own).sum())
        count = len(case.eligible)
        return Score(value=held / count, accuracy=float(case.eligible.mean()), clips=count)


if __name__ == "__main__":
    console.run(main)
