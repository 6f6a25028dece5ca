"""The training loop, of the baseline and of every defense: epoch after epoch, resumable, the best one kept."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from stages.core.progress import Progress, log
from stages.models import checkpoints, distributed
from stages.models.checkpoints import ModelSpec
from stages.models.resume import Scratch, State
from stages.training import history
from stages.training.batches import TrainingData
from stages.training.history import Epoch
from stages.training.objectives import LossFunction
from stages.training.recovery import Recovery
from stages.training.trainer import Trainer


@dataclass(frozen=True)
class Score:
    """The score of a model on the validation clips."""

    value: float
    """Share of the clips by which the epoch is chosen."""
    accuracy: float
    clips: int
    """Number of validation clips."""

    @property
    def standard_error(self) -> float:
        """The standard error of the value, as if there were two more clips, one of them right (Agresti).

        Without them it would be 0 where all clips are right.
        """
        share = (self.value * self.clips + 1) / (self.clips + 2)
        return math.sqrt(share * (1 - share) / (self.clips + 2))


@dataclass(frozen=True)
class Record:
    """The places where a run writes down its progress."""

    what: str
    """Name of the work, for progress."""
    history: Path
    """History file, written after every epoch, for people."""
    scratch: Scratch
    """State to go on from, written after every epoch; removed once the result is written."""


@dataclass(frozen=True)
class Trained:
    """A trained network, with the facts of its training and the scratch of the runs that it came from."""

    network: nn.Module
    facts: Mapping[str, str]
    scratches: Sequence[Scratch]

    def write(self, path: Path, spec: ModelSpec) -> None:
        """Write the model file, and remove the scratch of the unfinished runs."""
        if distributed.is_main_process():
            checkpoints.write(path, self.network, spec, self.facts)
        for scratch in self.scratches:
            scratch.remove()


RollbackRule = Callable[[list[Epoch]], bool]
"""Function of a history: tells whether its last epoch is to be rolled back."""


def no_rollback(_history: list[Epoch]) -> bool:
    """Roll no epoch back, whatever the history."""
    return False


def fit(
    network: nn.Module,
    data: TrainingData,
    loss: LossFunction,
    score: Callable[[nn.Module], Score],
    record: Record,
    rollback: RollbackRule = no_rollback,
) -> list[Epoch]:
    """Train a network, or resume its training, and give it the weights of the epoch that `history.best_epoch` chooses.

    Args:
        network: the network, changed in place, moved to the device.
        data: the clips and the recipe.
        loss: loss function of each batch.
        score: judges the network, in evaluation mode, after each epoch, on validation clips.
        record: places where progress is kept; an unfinished run that is found there is resumed.
        rollback: says after each epoch whether training goes on from the best epoch's weights instead.

    Returns:
        the history, one row per epoch.

    Raises:
        InputError: the clips cannot be trained on, or the loss is not finite for the second time.
    """
    data.require_learnable()
    epochs = _Epochs(network, data, loss)
    if epochs.resume(record.scratch.read()) and distributed.is_main_process():
        log(f"{record.what}: resumed after epoch {len(epochs.history)} of {data.recipe.epochs}")
        history.write(record.history, epochs.history)
    progress = Progress(record.what, data.recipe.epochs, "epoch", done=len(epochs.history))
    while len(epochs.history) < data.recipe.epochs:
        row = epochs.next(score)
        if rollback(epochs.history):
            epochs.roll_back()
        if distributed.is_main_process():
            record.scratch.write(epochs.state())
            history.write(record.history, epochs.history)
            told = f"loss {row.loss:.3f}, validation accuracy {row.validation_accuracy:.3f}"
            progress.add(note=f"{told}, {epochs.clips_per_second:.0f} clips/s")
    progress.close()
    network.load_state_dict(epochs.best)
    return epochs.history


class _Epochs:
    """A network in training, with its history and the weights of its best epoch."""

    def __init__(self, network: nn.Module, data: TrainingData, loss: LossFunction) -> None:
        self.trainer = Trainer(network, data, loss)
        self.recovery = Recovery(self.trainer)
        self.network = self.trainer.network
        self.best = deepcopy(self.network.state_dict())
        self.history: list[Epoch] = []
        self.clips_per_epoch = data.steps * data.batch_size
        self.clips_per_second = 0.0
        """Speed of the last epoch's training; it is in no file, as equal runs differ in it."""

    def state(self) -> State:
        """Gather all that a later process needs to go on as if nothing had happened; not a copy."""
        rows = [asdict(row) for row in self.history]
        return {**self.trainer.state(), **self.recovery.state(), "best": self.best, "history": rows}

    def resume(self, state: State | None) -> bool:
        """Restore the state that an earlier process left, as the first process read it; tell whether there was any."""
        state = self.trainer.fabric.broadcast(state)
        if state:
            self.trainer.restore(state)
            self.recovery.restore(state)
            self.best = state["best"]
            self.history = [Epoch(**row) for row in state["history"]]
        return bool(state)

    def next(self, score: Callable[[nn.Module], Score]) -> Epoch:
        """Train for an epoch, judge the network, and keep its weights if they are the best so far."""
        number = len(self.history) + 1
        start = time.perf_counter()
        loss, accuracy = self.recovery.train_epoch(number)
        self.clips_per_second = self.clips_per_epoch / (time.perf_counter() - start)
        judged: Score = self.trainer.fabric.broadcast(score(self.network.eval()))
        row = Epoch(
            epoch=number,
            loss=loss,
            accuracy=accuracy,
            validation_accuracy=judged.accuracy,
            validation_score=judged.value,
            standard_error=judged.standard_error,
            learning_rate=self.trainer.learning_rate,
        )
        self.history.append(row)
        if history.best_epoch(self.history) is row:
            self.best = deepcopy(self.network.state_dict())
        return row

    def roll_back(self) -> None:
        """Go on from the weights of the best epoch."""
        self.network.load_state_dict(self.best)
        row = self.history[-1]
        log(
            f"epoch {row.epoch}: the score fell to {row.validation_score:.3f} while training accuracy rose to "
            f"{row.accuracy:.3f}: back to the weights of epoch {history.best_epoch(self.history).epoch}"
        )
