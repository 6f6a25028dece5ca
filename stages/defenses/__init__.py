"""Adversarial training: one file a defense, found by its name.

A defense is how it makes the images that a batch is trained on, and their loss; the loop is the baseline's.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from stages import learning, params, plugins, seeding
from stages.lessons import Batch, Lesson
from stages.params import Parameters


class Defense(Parameters, ABC):
    """A defense with its parameters."""

    takes_crafted: ClassVar[bool] = True
    """Whether clips of the adversarial training set are mixed in."""
    single_step: ClassVar[bool] = False
    """Whether its adversaries are so weak that training may overfit them from one epoch to the next."""
    hardens: ClassVar[bool] = True
    """Whether its epoch is chosen by accuracy under attack; or else by that on clean clips, as the baseline's is."""

    @property
    def replays(self) -> int:
        """Times that each batch is trained on in a row."""
        return 1

    @abstractmethod
    def adversaries(self, model: nn.Module, batch: Batch, targets: Tensor, lesson: Lesson) -> Tensor:
        """The images to train on in place of a batch's.

        Args:
            model: in training; left as it was, but for its mode.
            batch: augmented clips.
            targets: a wrong class for each, shape (batch,).
            lesson: its seed and `compute` are used.

        Returns:
            shape of the batch's images, in [0, 1].
        """

    def loss(
        self, model: nn.Module, adversarial: Tensor, batch: Batch, label_smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """The loss of a batch, a scalar, and the logits of its adversarial images.

        Args:
            model: in training, perhaps wrapped.
            adversarial: shape of the batch's images.
            batch: the clean images and the labels.
            label_smoothing: in [0, 1).
        """
        return learning.cross_entropy(model, adversarial, batch, label_smoothing)


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
