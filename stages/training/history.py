"""The training history: what each epoch came to, and which one is kept."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from stages.core import files


@dataclass(frozen=True)
class Epoch:
    """One row of a training history."""

    epoch: int
    loss: float
    accuracy: float
    """Accuracy on the training batches, as trained on; of a mixture, the clip with the greater share counts."""
    validation_accuracy: float
    validation_score: float
    """Score that the epoch is chosen by: accuracy, or in hardening accuracy under attack."""
    standard_error: float
    """Standard error of the score."""
    learning_rate: float
    """Learning rate of the epoch's last step."""


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """Choose the latest epoch whose score lies within a standard error of the best one's (Breiman et al. 1984).

    On few validation clips the very best epoch is often a lucky one from the middle of the schedule; towards its end
    accuracy on clean clips is best too. An epoch that scores less than half of the best is never kept:
    `overfits_catastrophically` rolls it back. The epoch kept of a part of the history is the last one of that part, or
    was kept before it: so the choice can be made as training goes on.
    """
    best = max(history, key=lambda row: row.validation_score)
    least = max(best.validation_score - best.standard_error, best.validation_score / 2)
    return next(row for row in reversed(history) if row.validation_score >= least)


def summary(history: Sequence[Epoch]) -> dict[str, str]:
    """Say which epoch was kept, and how accurate it and the last one were."""
    chosen = best_epoch(history)
    return {
        "epoch": f"{chosen.epoch} of {len(history)}",
        "validation_accuracy": f"{chosen.validation_accuracy:.4f}",
        "validation_score": f"{chosen.validation_score:.4f}",
        "validation_accuracy_of_last_epoch": f"{history[-1].validation_accuracy:.4f}",
        "validation_score_of_last_epoch": f"{history[-1].validation_score:.4f}",
    }


def overfits_catastrophically(history: Sequence[Epoch]) -> bool:
    """Tell whether the last epoch's score fell below half of the best one's, while training accuracy rose above it.

    Robust accuracy does so when training overfits its single-step adversaries: catastrophic overfitting (Wong, Rice,
    Kolter 2020).
    """
    *before, last = history
    if not before:
        return False
    best = max(before, key=lambda row: row.validation_score)
    return last.validation_score < best.validation_score / 2 and last.accuracy > best.accuracy


def write(path: Path, history: Sequence[Epoch]) -> None:
    """Write a training history as CSV, one row per epoch."""
    with files.replacing(path) as partial:
        pd.DataFrame([asdict(row) for row in history]).to_csv(partial, index=False, lineterminator="\n")
