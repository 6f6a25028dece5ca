"""What a model is trained on, and how: the clips, the recipe, and the batches that they come in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from stages import augmentation, hardware, seeding
from stages.augmentation import AugmentationParams, Draw
from stages.compute import ComputeParams
from stages.console import InputError
from stages.params import Count, Number, Parameters
from stages.trials import Trial


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
    partner_labels: Tensor
    """Of the clips that are mixed in, shape (batch,)."""
    weights: Tensor
    """Share of each clip's own label, shape (batch,), in [0.5, 1]."""
    epoch: int
    drawn: Draw
    """The epoch's randomness, of all training clips, on the CPU."""
    replay: int = 0
    """How often it was trained on just before."""

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

    def split(self, pieces: int) -> list["Batch"]:
        """The same clips in at most so many batches of about one size, of at least two clips each."""
        pieces = max(min(pieces, len(self.indices) // 2), 1)
        tensors = (self.images, self.labels, self.indices, self.partner_labels, self.weights)
        images, labels, indices, partners, weights = (tensor.tensor_split(pieces) for tensor in tensors)
        return [
            Batch(images[i], labels[i], indices[i], partners[i], weights[i], self.epoch, self.drawn, self.replay)
            for i in range(pieces)
        ]

    def only(self, chosen: Tensor) -> "Batch":
        """Some of its clips; `chosen` is a mask of shape (batch,)."""
        return replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            indices=self.indices[chosen.cpu()],
            partner_labels=self.partner_labels[chosen],
            weights=self.weights[chosen],
        )


@dataclass(frozen=True)
class Lesson:
    """What is learnt from, and how: N training clips, the recipe, the randomness."""

    images: Tensor
    """Shape (N, 1, height, width), in [0, 1]."""
    variants: Tensor
    """Of changed versions of the clips, shape (N, variants, height, width), in [0, 1]."""
    labels: Tensor
    """Shape (N,)."""
    clips: Sequence[str]
    """Names of the N clips."""
    classes: Sequence[str]
    """Names of the classes."""
    recipe: LearningParams
    augmentation: AugmentationParams
    seed: int
    compute: ComputeParams
    replays: int = 1
    """Times that each batch is trained on in a row."""

    @property
    def made_from(self) -> tuple[Tensor, Tensor, Tensor, Parameters, Parameters, int]:
        """What of it the weights depend on."""
        return self.images, self.variants, self.labels, self.recipe, self.augmentation, self.seed

    @property
    def facts(self) -> dict[str, str]:
        """How it is learnt, for the model's metadata."""
        return {
            "recipe": self.recipe.model_dump_json(),
            "augmentation": self.augmentation.model_dump_json(),
            "seed": str(self.seed),
            "training_clips": str(len(self.images)),
            "computed_with": hardware.description(self.compute),
        }

    @property
    def batch_size(self) -> int:
        """Clips in a batch: all of them where there are fewer than the recipe asks for, and alike for each process."""
        together = self.compute.processes_together
        return min(self.recipe.batch_size, len(self.images)) // together * together

    @property
    def steps(self) -> int:
        """Steps of an epoch; clips beyond the last whole batch wait for the next shuffle."""
        return len(self.images) // self.batch_size * self.replays

    def on(self, device: torch.device) -> "Lesson":
        """The same lesson, its clips on the device if they take less than half of the memory that is free there."""
        size = self.images.nbytes + self.variants.nbytes
        if device.type == "cuda" and 2 * size > torch.cuda.mem_get_info(device)[0]:
            return self
        images, variants, labels = (tensor.to(device) for tensor in (self.images, self.variants, self.labels))
        return replace(self, images=images, variants=variants, labels=labels)

    def order(self, epoch: int) -> Tensor:
        """Positions of the clips of each step in an epoch, shape (steps, batch), on the CPU."""
        shuffled = seeding.generator(self.seed, "order", epoch).permutation(len(self.images))
        batches = len(self.images) // self.batch_size
        order = torch.from_numpy(shuffled[: batches * self.batch_size]).view(batches, self.batch_size)
        return order.repeat_interleave(self.replays, dim=0)

    def batches(self, epoch: int, device: torch.device, rank: int) -> Iterator[Batch]:
        """The batches of an epoch, or the share of each that the process `rank` trains on."""
        drawn = augmentation.draw(self.seed, epoch, len(self.images), self.augmentation)
        versions = augmentation.versions(self.images, self.variants, self.seed, epoch, self.augmentation)
        shares = self.order(epoch).chunk(self.compute.processes_together, dim=1)
        for step, indices in enumerate(shares[rank]):
            here = indices.to(self.labels.device)
            yield Batch(
                images=augmentation.augment(versions, indices, drawn, self.augmentation).to(device),
                labels=self.labels[here].to(device),
                indices=indices,
                partner_labels=self.labels[drawn.partners[indices].to(self.labels.device)].to(device),
                weights=drawn.weights[indices].to(device),
                epoch=epoch,
                drawn=drawn,
                replay=step % self.replays,
            )

    def require_learnable(self) -> None:
        """Raise an InputError if there is too little to learn from, or it cannot be shared out."""
        if len(self.images) < (least := max(2, self.compute.processes_together)):
            raise InputError(f"training needs at least {least} clips; the training folds leave {len(self.images)}")
        counts = np.bincount(self.labels.cpu().numpy(), minlength=len(self.classes))
        if missing := [name for name, count in zip(self.classes, counts, strict=True) if not count]:
            raise InputError(
                f"no training clips of the class {', '.join(missing)}: all of its clips are in the test fold or held "
                "out for validation; record more, spread its clips over the folds, or leave the class out"
            )
        if self.recipe.batch_size % self.compute.processes_together:
            raise InputError(
                f"{self.compute.processes_together} processes (compute.devices x compute.nodes) cannot share batches "
                f"of {self.recipe.batch_size} clips evenly: make batch_size a multiple of them"
            )


def begin(trial: Trial, recipe: LearningParams, augmentation: AugmentationParams) -> Lesson:
    """What the models of a cell learn from: its training clips."""
    store, training = trial.store, trial.split.train
    names = [str(name) for name in store.clips[training]]
    images, labels = trial.clips(training)
    variants = torch.from_numpy(store.variants[training])
    return Lesson(images, variants, labels, names, store.classes, recipe, augmentation, trial.seed, trial.compute)
