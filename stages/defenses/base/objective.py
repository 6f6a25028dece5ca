"""The loss of hardening: a defense's adversaries, crafted clips for a share, and perturbed weights."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stages.core import device, seeding
from stages.core.params import Name, Number, Parameters
from stages.defenses.base import Defense
from stages.defenses.base.awp import displaced
from stages.defenses.base.selection import SelectionParams
from stages.models import distributed
from stages.training.batches import Batch, RecipeParams, TrainingData


class HardenParams(Parameters):
    """The settings of hardening: defense, initial weights, share of crafted clips, perturbation of weights, recipe."""

    method: Name
    start: Literal["baseline", "scratch"]
    crafted_share: Annotated[Number, Field(ge=0, le=1)]
    awp_gamma: Annotated[Number, Field(ge=0, le=1)]
    train: RecipeParams
    selection: SelectionParams


@dataclass(frozen=True)
class Hardening:
    """The loss of a batch whose clips give way to crafted ones, for a share, and to the defense's adversaries."""

    defense: Defense
    crafted: Tensor
    """Crafted clips, shape (N, 1, height, width)."""
    exists: Tensor
    """Mask of the clips whose crafting succeeded, shape (N,)."""
    settings: HardenParams
    data: TrainingData

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the defense's loss and the logits, at the worst weights nearby if `awp_gamma` asks for them."""
        network = distributed.unwrap(model)
        adversarial = self.adversarial(network, batch)

        def loss(chosen: nn.Module) -> tuple[Tensor, Tensor]:
            return self.defense.loss(chosen, adversarial, batch, self.data.recipe.label_smoothing)

        def cast(chosen: nn.Module) -> tuple[Tensor, Tensor]:
            # A displaced network is past Fabric's wrapper, which chooses the precision otherwise.
            with device.autocast(self.data.compute):
                return loss(chosen)

        if not self.settings.awp_gamma:
            return loss(model)
        return cast(displaced(network, lambda chosen: cast(chosen)[0], self.settings.awp_gamma))

    def adversarial(self, network: nn.Module, batch: Batch) -> Tensor:
        """Make the images to train on in place of a batch's images."""
        count, seed = len(self.exists), self.data.seed
        share = self.settings.crafted_share if self.defense.takes_crafted else 0.0
        crafted = draw_crafted(batch, self.exists, share, seed)
        targets = random_targets(batch, len(self.data.classes), count, seed)
        images = batch.images.clone()
        if crafted.any():
            replaced = self.data.augmented(self.crafted, batch.indices, batch.drawn).to(images)
            images[crafted] = replaced[crafted]
        if not crafted.all():
            images[~crafted] = self.defense.adversaries(network, batch.select(~crafted), targets[~crafted], self.data)
        return images


def draw_crafted(batch: Batch, crafted: Tensor, share: float, seed: int) -> Tensor:
    """Draw the clips of the batch that give way to crafted ones, per clip and epoch: shape (batch,), bool.

    Args:
        batch: the batch; its indices and epoch are used.
        crafted: mask of the training clips that have a crafted example, shape (N,).
        share: share of the clips that give way.
        seed: seed of the draw.
    """
    drawn = seeding.generator(seed, "crafted", batch.epoch).random(len(crafted)) < share
    return torch.from_numpy(drawn & crafted.numpy())[batch.indices].to(batch.images.device)


def random_targets(batch: Batch, classes: int, clips: int, seed: int) -> Tensor:
    """Draw a wrong class for each clip of the batch, per clip and epoch: shape (batch,)."""
    shifts = seeding.generator(seed, "training target", batch.epoch).integers(1, classes, clips)
    return (batch.labels + torch.from_numpy(shifts.astype(np.int64))[batch.indices].to(batch.labels.device)) % classes
