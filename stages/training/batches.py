"""Training data: the clips, the recipe, and the batches that they come in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from stages.core import device, seeding
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.grid import Names
from stages.core.params import Count, Number, Parameters
from stages.models.cell import Cell
from stages.models.resume import Ingredient
from stages.training import augment
from stages.training.augment import AugmentParams, Draw


class RecipeParams(Parameters):
    """The training recipe: AdamW on a one-cycle schedule (Smith and Topin 2019)."""

    epochs: Annotated[Count, Field(ge=1)]
    batch_size: Annotated[Count, Field(ge=2)]
    learning_rate: Annotated[Number, Field(gt=0, le=1)]
    weight_decay: Annotated[Number, Field(ge=0, le=1)]
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)]


class TrainParams(RecipeParams):
    """The recipe of the baseline, the augmentation of all training images, those of hardening too, and the baselines.

    Each of `baselines` names a change of the augmentation; one model is trained by each, and the best is kept.
    """

    augment: AugmentParams
    baselines: Names


@dataclass(frozen=True)
class Batch:
    """Some training clips, augmented, on the device."""

    images: Tensor
    """Images of the clips, shape (batch, 1, height, width), in [0, 1]."""
    labels: Tensor
    """Classes of the clips, shape (batch,)."""
    indices: Tensor
    """Positions among the training clips, shape (batch,), on the CPU."""
    partner_labels: Tensor
    """Classes of the clips that are mixed in, shape (batch,)."""
    weights: Tensor
    """Share of each clip's own label, shape (batch,), in [0.5, 1]."""
    epoch: int
    drawn: Draw
    """The epoch's randomness, of all training clips, on the CPU."""
    replay: int = 0
    """Number of times that the batch was trained on just before."""

    def split(self, pieces: int) -> list["Batch"]:
        """Divide the clips into at most `pieces` batches of about one size, of at least two clips each."""
        pieces = max(min(pieces, len(self.indices) // 2), 1)
        tensors = (self.images, self.labels, self.indices, self.partner_labels, self.weights)
        images, labels, indices, partners, weights = (tensor.tensor_split(pieces) for tensor in tensors)
        return [
            Batch(images[i], labels[i], indices[i], partners[i], weights[i], self.epoch, self.drawn, self.replay)
            for i in range(pieces)
        ]

    def select(self, chosen: Tensor) -> "Batch":
        """Pick some of the batch's clips; `chosen` is a mask of shape (batch,)."""
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            indices=self.indices[chosen.cpu()],
            partner_labels=self.partner_labels[chosen],
            weights=self.weights[chosen],
        )


@dataclass(frozen=True)
class TrainingData:
    """N training clips, with the recipe and the randomness that they are trained on with."""

    images: Tensor
    """Images of the clips, shape (N, 1, height, width), in [0, 1]."""
    copies: Tensor
    """Images of augmented copies of the clips' sounds, shape (N, copies, height, width), in [0, 1]."""
    labels: Tensor
    """Classes of the clips, shape (N,)."""
    clips: Sequence[str]
    """Names of the N clips."""
    classes: Sequence[str]
    """Names of the classes."""
    silence: Tensor
    """Value of each row of the images in silence, shape (height,)."""
    recipe: RecipeParams
    augment: AugmentParams
    seed: int
    compute: ComputeParams
    steps_per_batch: int = 1
    """Number of times that each batch is trained on in a row."""

    @property
    def ingredients(self) -> tuple[Ingredient, ...]:
        """The parts of the training data that the weights depend on."""
        return self.images, self.copies, self.labels, self.silence, self.recipe, self.augment, self.seed

    @property
    def facts(self) -> dict[str, str]:
        """The facts about the training that the model's metadata record."""
        return {
            "recipe": self.recipe.model_dump_json(exclude={"augment", "baselines"}),
            "augmentation": self.augment.model_dump_json(),
            "seed": str(self.seed),
            "training_clips": str(len(self.images)),
            "computed_with": device.describe(self.compute),
        }

    @property
    def batch_size(self) -> int:
        """The number of clips in a batch: the recipe's, or all if fewer, cut to a multiple of the processes."""
        together = self.compute.world_size
        return min(self.recipe.batch_size, len(self.images)) // together * together

    @property
    def steps(self) -> int:
        """The number of steps of an epoch; clips beyond the last whole batch wait for the next shuffle."""
        return len(self.images) // self.batch_size * self.steps_per_batch

    def on(self, device: torch.device) -> "TrainingData":
        """Move the clips to the device if they take less than half of the memory that is free there."""
        size = self.images.nbytes + self.copies.nbytes
        if device.type == "cuda" and 2 * size > torch.cuda.mem_get_info(device)[0]:
            return self
        images, copies, labels = (tensor.to(device) for tensor in (self.images, self.copies, self.labels))
        return replace(self, images=images, copies=copies, labels=labels)

    def permutation(self, epoch: int) -> Tensor:
        """Shuffle the clips of an epoch: their positions for each step, shape (steps, batch), on the CPU."""
        shuffled = seeding.generator(self.seed, "order", epoch).permutation(len(self.images))
        batches = len(self.images) // self.batch_size
        order = torch.from_numpy(shuffled[: batches * self.batch_size]).view(batches, self.batch_size)
        return order.repeat_interleave(self.steps_per_batch, dim=0)

    def batches(self, epoch: int, device: torch.device, rank: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, or the share of each that the process `rank` trains on."""
        drawn = augment.draw(self.seed, epoch, len(self.images), self.augment)
        versions = augment.versions(self.images, self.copies, self.seed, epoch, self.augment)
        shares = self.permutation(epoch).chunk(self.compute.world_size, dim=1)
        for step, indices in enumerate(shares[rank]):
            here = indices.to(self.labels.device)
            yield Batch(
                images=self.augmented(versions, indices, drawn).to(device),
                labels=self.labels[here].to(device),
                indices=indices,
                partner_labels=self.labels[drawn.partners[indices].to(self.labels.device)].to(device),
                weights=drawn.weights[indices].to(device),
                epoch=epoch,
                drawn=drawn,
                replay=step % self.steps_per_batch,
            )

    def augmented(self, images: Tensor, indices: Tensor, drawn: Draw) -> Tensor:
        """Augment the clips at some positions, of one version or another of the N training images, all alike."""
        return augment.augment(images, indices, drawn, self.augment, self.silence)

    def require_learnable(self) -> None:
        """Check that there is enough to learn from, and that the processes can share it.

        Raises:
            InputError: clips or classes are too few, or batches cannot be shared evenly.
        """
        if len(self.images) < (least := max(2, self.compute.world_size)):
            raise InputError(f"training needs at least {least} clips; the training folds leave {len(self.images)}")
        counts = np.bincount(self.labels.cpu().numpy(), minlength=len(self.classes))
        if missing := [name for name, count in zip(self.classes, counts, strict=True) if not count]:
            raise InputError(
                f"no training clips of the class {', '.join(missing)}: all of its clips are in the test fold or held "
                "out for validation; record more, spread its clips over the folds, or leave the class out"
            )
        if self.recipe.batch_size % self.compute.world_size:
            raise InputError(
                f"{self.compute.world_size} processes (compute.devices x compute.nodes) cannot share batches "
                f"of {self.recipe.batch_size} clips evenly: make batch_size a multiple of them"
            )


def load_training_data(cell: Cell, recipe: RecipeParams, augment: AugmentParams) -> TrainingData:
    """Take the training clips of a cell, with the recipe and the augmentation."""
    features, training = cell.features, cell.split.train
    images, labels = cell.clips(training)
    return TrainingData(
        images=images,
        copies=torch.from_numpy(features.variants[training]),
        labels=labels,
        clips=[str(name) for name in features.clips[training]],
        classes=features.classes,
        silence=torch.from_numpy(features.silence),
        recipe=recipe,
        augment=augment,
        seed=cell.seed,
        compute=cell.compute,
    )
