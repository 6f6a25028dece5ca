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
    learning_rate: float
    """Of the epoch's last step."""
    clips_per_second: float
    """Of training alone. It differs between equal runs: nothing depends on it."""


def write(path: Path, curve: Sequence[Epoch]) -> None:
    """Write a training curve as CSV, a row an epoch."""
    with files.replacing(path) as partial:
        pd.DataFrame([asdict(row) for row in curve]).to_csv(partial, index=False, lineterminator="\n")
