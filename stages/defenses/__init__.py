"""Adversarial training: one file a defense, found by its name.

A defense is how it makes the images that a batch is trained on; the loop is the baseline's.
"""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from stages import params, plugins, seeding
from stages.compute import ComputeParams
from stages.lessons import Batch
from stages.params import Parameters


class Defense(Parameters, ABC):
    """A defense with its parameters."""

    @abstractmethod
    def images(self, model: nn.Module, images: Tensor, targets: Tensor, compute: ComputeParams) -> Tensor:
        """The images to train on in place of a batch's.

        Args:
            model: the model in training; left as it was, but for its mode.
            images: augmented clips, shape (batch, 1, height, width), in [0, 1].
            targets: a wrong class for each, shape (batch,).
            compute: device and precision.

        Returns:
            shape of `images`, in [0, 1].
        """


def load(name: str) -> Defense:
    """The defense `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.
    """
    return params.read(f"defenses.{name}", plugins.find(__name__, name, Defense))


def drawn_crafted(batch: Batch, crafted: Tensor, share: float, seed: int) -> Tensor:
    """Which clips of the batch give way to crafted ones this epoch: shape (batch,), bool; drawn per clip and epoch.

    Args:
        batch: its indices and epoch are used.
        crafted: whether a crafted example exists, for every training clip, shape (N,).
        share: share of the clips.
        seed: of the draw.
    """
    drawn = seeding.generator(seed, "crafted", batch.epoch).random(len(crafted)) < share
    return torch.from_numpy(drawn & crafted.numpy())[batch.indices].to(batch.images.device)


def random_targets(batch: Batch, classes: int, clips: int, seed: int) -> Tensor:
    """A wrong class for each clip of the batch, shape (batch,), drawn per clip and epoch."""
    shifts = seeding.generator(seed, "training target", batch.epoch).integers(1, classes, clips)
    return (batch.labels + torch.from_numpy(shifts.astype(np.int64))[batch.indices].to(batch.labels.device)) % classes
