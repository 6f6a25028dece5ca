"""What a descent aims at: a target class, or any class but a clip's own."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional

from stages.models.victim import logit_margin


class Goal(Protocol):
    """The goal of a descent; `rows` are the positions of clips in the batch."""

    def loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the loss that the descent lowers, summed over the clips."""

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute how far each clip is beyond the boundary, in logits, shape (rows,); positive where it is reached."""


@dataclass(frozen=True)
class Towards:
    """The goal that the clips are taken for their targets, shape (batch,)."""

    targets: Tensor

    def loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Sum the cross-entropy of the targets."""
        return functional.cross_entropy(logits, self.targets[rows], reduction="sum")

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the lead of the target's logit over the best other one."""
        return logit_margin(logits, self.targets[rows])


@dataclass(frozen=True)
class AwayFrom:
    """The goal that the clips are taken for any class but their labels, shape (batch,)."""

    labels: Tensor

    def loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Sum the negative cross-entropy of the labels."""
        return -functional.cross_entropy(logits, self.labels[rows], reduction="sum")

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute by how much the best other logit surpasses the label's."""
        return -logit_margin(logits, self.labels[rows])


@dataclass(frozen=True)
class ByMargin:
    """Another goal, whose loss is the margin itself: it does not vanish where the logits are far apart."""

    goal: Goal

    def loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Sum the margins that are left to the boundary."""
        return -self.margin(logits, rows).sum()

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the margin of the other goal."""
        return self.goal.margin(logits, rows)
