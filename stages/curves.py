"""Training curves: what an epoch came to, and the table of them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from stages import files


@dataclass(frozen=True)
class Epoch:
    """One row of a training curve."""

    epoch: int
    loss: float
    accuracy: float
    """On the training batches, as trained on; of a mixture, the clip with the greater share counts."""
    validation_accuracy: float
    validation_score: float
    """What the epoch is chosen by: accuracy, or in hardening that under attack."""
    standard_error: float
    """Of the score."""
    learning_rate: float
    """Of the epoch's last step."""
    clips_per_second: float
    """Of training alone. It differs between equal runs: nothing depends on it."""


def kept(curve: Sequence[Epoch]) -> Epoch:
    """The latest epoch whose score lies within a standard error of the best one's (Breiman et al. 1984).

    On few validation clips the very best is often a lucky one from the middle of the schedule; towards its end accuracy
    on clean clips is best too. What scores less than half of the best is never kept: `collapsed` takes it back.
    Whichever is kept of a part of the curve is its last epoch, or was kept before that: the choice can be made as
    training goes on.
    """
    best = max(curve, key=lambda row: row.validation_score)
    least = max(best.validation_score - best.standard_error, best.validation_score / 2)
    return next(row for row in reversed(curve) if row.validation_score >= least)


def summary(curve: Sequence[Epoch]) -> dict[str, str]:
    """Which epoch was kept, and how accurate it and the last one were."""
    chosen = kept(curve)
    return {
        "epoch": f"{chosen.epoch} of {len(curve)}",
        "validation_accuracy": f"{chosen.validation_accuracy:.4f}",
        "validation_score": f"{chosen.validation_score:.4f}",
        "validation_accuracy_of_last_epoch": f"{curve[-1].validation_accuracy:.4f}",
        "validation_score_of_last_epoch": f"{curve[-1].validation_score:.4f}",
    }


def collapsed(curve: Sequence[Epoch]) -> bool:
    """Whether the last epoch's score fell below half of the best one's, while training accuracy rose above it.

    So does robust accuracy when training overfits its single-step adversaries (Wong, Rice, Kolter 2020).
    """
    *before, last = curve
    if not before:
        return False
    best = max(before, key=lambda row: row.validation_score)
    return last.validation_score < best.validation_score / 2 and last.accuracy > best.accuracy


def write(path: Path, curve: Sequence[Epoch]) -> None:
    """Write a training curve as CSV, a row an epoch."""
    with files.replacing(path) as partial:
        pd.DataFrame([asdict(row) for row in curve]).to_csv(partial, index=False, lineterminator="\n")
