"""The training loop: of the baseline, and of every defense."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from stages import augmentation, checkpoints, files, hardware, seeding
from stages.augmentation import AugmentationParams, Draw
from stages.compute import ComputeParams
from stages.console import InputError, Progress
from stages.params import Count, Number, Parameters


class LearningParams(Parameters):
    """The recipe: AdamW on a one-cycle schedule (Smith and Topin 2019)."""

    epochs: Annotated[Count, Field(ge=1)]
    batch_size: Annotated[Count, Field(ge=2)]
    learning_rate: Annotated[Number, Field(gt=0, le=1)]
    weight_decay: Annotated[Number, Field(ge=0, le=1)]
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Batch:
    """Some training clips, augmented, on the device."""

    images: Tensor
    """Shape (batch, 1, height, width), in [0, 1]."""
    labels: Tensor
    """Shape (batch,)."""
    indices: Tensor
    """Positions among the training clips, shape (batch,), on the CPU."""
    epoch: int
    drawn: Draw
    """The epoch's randomness, of all training clips, on the CPU."""
    partner_labels: Tensor
    """Of the clips that are mixed in, shape (batch,)."""
    weights: Tensor
    """Share of each clip's own label, shape (batch,), in [0.5, 1]."""

    def like(self, images: Tensor, params: AugmentationParams) -> Tensor:
        """The same clips of another version of the N training images, augmented alike, on the device."""
        return augmentation.augment(images, self.indices, self.drawn, params).to(self.images.device)

    def loss(self, logits: Tensor, label_smoothing: float) -> Tensor:
        """Mean cross-entropy with the clips' labels, and with those of their partners by the partners' shares.

        Args:
            logits: shape (batch, classes).
            label_smoothing: in [0, 1).
        """
        logits = logits.float()
        own = functional.cross_entropy(logits, self.labels, reduction="none", label_smoothing=label_smoothing)
        other = functional.cross_entropy(logits, self.partner_labels, reduction="none", label_smoothing=label_smoothing)
        return torch.lerp(other, own, self.weights).mean()


@dataclass(frozen=True)
class Score:
    """How good a model is on the validation clips; the greatest `value` is kept, the later one of equals."""

    value: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """One row of a training curve."""

    epoch: int
    loss: float
    accuracy: float
    """On the training batches, as trained on."""
    validation_accuracy: float
    validation_score: float
    learning_rate: float


@dataclass(frozen=True)
class Lesson:
    """What is learnt from, and how: the images and labels of N training clips, the recipe, the randomness."""

    images: Tensor
    labels: Tensor
    recipe: LearningParams
    augmentation: AugmentationParams
    seed: int
    compute: ComputeParams


Prepare = Callable[[nn.Module, Batch], Tensor]
"""Gives the images to train on in place of the batch's own; this is where a defense makes its adversaries."""


def fit(
    model: nn.Module, lesson: Lesson, score: Callable[[nn.Module], Score], prepare: Prepare, what: str
) -> list[Epoch]:
    """Train a model; it ends with the weights of its best epoch.

    Args:
        model: changed in place, moved to the device.
        lesson: what it is trained on.
        score: judges the model, in evaluation mode, after each epoch, on validation clips.
        prepare: called on each batch.
        what: the work, for progress.

    Raises:
        InputError: the loss is not finite.
    """
    checkpoints.on_device(model, hardware.device(lesson.compute))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=lesson.recipe.learning_rate, weight_decay=lesson.recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lesson.recipe.learning_rate, total_steps=lesson.recipe.epochs * _steps(lesson)
    )
    progress = Progress(what, lesson.recipe.epochs, "epoch")
    curve: list[Epoch] = []
    best, weights = float("-inf"), model.state_dict()
    for epoch in range(1, lesson.recipe.epochs + 1):
        loss, accuracy = _train_epoch(model, lesson, optimizer, schedule, prepare, epoch)
        judged = score(model.eval())
        curve.append(Epoch(epoch, loss, accuracy, judged.accuracy, judged.value, float(schedule.get_last_lr()[0])))
        if judged.value >= best:
            best, weights = judged.value, deepcopy(model.state_dict())
        progress.add(note=f"loss {loss:.3f}, validation accuracy {judged.accuracy:.3f}")
    progress.close()
    model.load_state_dict(weights)
    return curve


def _steps(lesson: Lesson) -> int:
    return max(len(lesson.images) // lesson.recipe.batch_size, 1)


def _train_epoch(
    model: nn.Module,
    lesson: Lesson,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    prepare: Prepare,
    epoch: int,
) -> tuple[float, float]:
    """Mean loss and accuracy over the batches; clips beyond the last whole batch wait for the next shuffle."""
    order = torch.from_numpy(seeding.generator(lesson.seed, "order", epoch).permutation(len(lesson.images)))
    drawn = augmentation.draw(lesson.seed, epoch, len(lesson.images), lesson.augmentation)
    losses, hits = [], []
    for indices in order[: _steps(lesson) * lesson.recipe.batch_size].split(lesson.recipe.batch_size):
        batch = _batch(lesson, indices, drawn, epoch)
        images = prepare(model, batch)
        loss, logits = _step(model.train(), images, batch, lesson, optimizer)
        schedule.step()
        losses.append(loss)
        hits.append((logits.argmax(1) == batch.labels).float().mean())
        _require_finite(loss, epoch)
    return float(torch.stack(losses).mean()), float(torch.stack(hits).mean())


def _batch(lesson: Lesson, indices: Tensor, drawn: Draw, epoch: int) -> Batch:
    device = hardware.device(lesson.compute)
    return Batch(
        images=augmentation.augment(lesson.images, indices, drawn, lesson.augmentation).to(device),
        labels=lesson.labels[indices].to(device),
        indices=indices,
        epoch=epoch,
        drawn=drawn,
        partner_labels=lesson.labels[drawn.partners[indices]].to(device),
        weights=drawn.weights[indices].to(device),
    )


def _step(
    model: nn.Module, images: Tensor, batch: Batch, lesson: Lesson, optimizer: torch.optim.Optimizer
) -> tuple[Tensor, Tensor]:
    optimizer.zero_grad(set_to_none=True)
    with hardware.autocast(lesson.compute):
        logits = model(images.contiguous(memory_format=torch.channels_last))
    loss = batch.loss(logits, lesson.recipe.label_smoothing)
    loss.backward()
    optimizer.step()
    return loss.detach(), logits.detach()


def _require_finite(loss: Tensor, epoch: int) -> None:
    if not torch.isfinite(loss):
        raise InputError(f"the loss is {loss.item()} in epoch {epoch}: lower the learning rate")


def write_curve(path: Path, curve: list[Epoch]) -> None:
    """Write a training curve as CSV, a row an epoch."""
    with files.replacing(path) as partial:
        pd.DataFrame([asdict(row) for row in curve]).to_csv(partial, index=False, lineterminator="\n")
