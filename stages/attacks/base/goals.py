"""What a descent aims at: a target class, or any class but a clip's own."""

from dataclasses import dataclass
from typing import Protocol

from foolbox import PyTorchModel
from torch import Tensor
from torch.nn import functional

from stages.models.victim import exact_logits, logit_margin

THIRD = 2
"""Position of the third largest logit."""

TINY = 1e-12
"""Smallest spread of logits that a margin is divided by."""


class Goal(Protocol):
    """The goal of a descent; `rows` are the positions of clips in the batch."""

    def losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the loss that the descent lowers, shape (rows,)."""

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute how far each clip is beyond the boundary, in logits, shape (rows,); positive where it is reached."""


@dataclass(frozen=True)
class Towards:
    """The goal that the clips are taken for their targets, shape (batch,)."""

    targets: Tensor

    def losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the cross-entropy of the targets."""
        return functional.cross_entropy(logits, self.targets[rows], reduction="none")

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the lead of the target's logit over the best other one."""
        return logit_margin(logits, self.targets[rows])


@dataclass(frozen=True)
class AwayFrom:
    """The goal that the clips are taken for any class but their labels, shape (batch,)."""

    labels: Tensor

    def losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the negative cross-entropy of the labels."""
        return -functional.cross_entropy(logits, self.labels[rows], reduction="none")

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute by how much the best other logit surpasses the label's."""
        return -logit_margin(logits, self.labels[rows])


@dataclass(frozen=True)
class ByMargin:
    """Another goal, whose loss is the margin itself: it does not vanish where the logits are far apart."""

    goal: Goal

    def losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the margins that are left to the boundary."""
        return -self.margin(logits, rows)

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the margin of the other goal."""
        return self.goal.margin(logits, rows)


@dataclass(frozen=True)
class ByRatio:
    """Another goal, whose loss is the margin over the spread of the largest logits (DLR, Croce and Hein 2020).

    It stays the same where all logits are scaled or shifted. The spread is that from the largest logit to the mean of
    the third and fourth, or to the last ones where there are fewer; of two classes it would be the margin itself, so
    that there the loss is the margin.
    """

    goal: Goal

    def losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the ratios."""
        margins = -self.margin(logits, rows)
        ordered = logits.sort(1, descending=True).values
        if ordered.shape[1] < THIRD + 1:
            return margins
        spread = ordered[:, 0] - ordered[:, THIRD : THIRD + 2].mean(1)
        return margins / spread.clamp(min=TINY)

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the margin of the other goal."""
        return self.goal.margin(logits, rows)


@dataclass(frozen=True)
class Ending:
    """The loss of one goal, and the end of another: what leaves its class on the way to another one has left it."""

    by: Goal
    at: Goal

    def losses(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the losses of the first goal."""
        return self.by.losses(logits, rows)

    def margin(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Compute the margin of the second goal."""
        return self.at.margin(logits, rows)


def reached(
    model: PyTorchModel, goal: Goal, images: Tensor, rows: Tensor, margins: Tensor, least: float = 0.0
) -> Tensor:
    """Tell which clips have reached a goal: where low precision says so, float32 must agree.

    Args:
        model: the victim.
        goal: the goal.
        images: examples of the clips at `rows`, as attacks see them.
        rows: positions of the clips in the batch.
        margins: the goal's margins, as the model sees them, shape (rows,).
        least: margin from which a clip counts, in logits.

    Returns:
        mask of the clips, shape (rows,), bool.
    """
    claimed = margins > least
    if claimed.any():
        exact = goal.margin(exact_logits(model, images[claimed]), rows[claimed])
        claimed = claimed.masked_scatter(claimed, exact > 0)
    return claimed
