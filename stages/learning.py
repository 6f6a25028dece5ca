"""The training loop: of the baseline, and of every defense."""

import math
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from stages import checkpoints, curves, processes, seeding
from stages.console import InputError, Progress, say
from stages.curves import Epoch
from stages.lessons import Batch, Lesson
from stages.resumption import Scratch, State


@dataclass(frozen=True)
class Score:
    """How good a model is on the validation clips."""

    value: float
    """Share of the clips, by which the epoch is chosen."""
    accuracy: float
    clips: int
    """How many there are."""

    @property
    def standard_error(self) -> float:
        """Of the value; of n clips as if two more were there, one right, or it would be 0 where all are (Agresti)."""
        share = (self.value * self.clips + 1) / (self.clips + 2)
        return math.sqrt(share * (1 - share) / (self.clips + 2))


@dataclass(frozen=True)
class Record:
    """Where a run writes down how far it is."""

    what: str
    """The work, for progress."""
    curve: Path
    """Written after every epoch, for people."""
    scratch: Scratch
    """Written after every epoch, to go on from."""


Watch = Callable[[list[Epoch]], bool]
"""Says of a curve whether its last epoch is to be taken back."""


def never(_curve: list[Epoch]) -> bool:
    """No epoch is taken back."""
    return False


Objective = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]
"""Gives the loss of a batch, a scalar, and logits to count hits by, shape (batch, classes); the step is the loop's.

This is where a defense makes its adversaries, and weighs what they cost. The model may be wrapped by Fabric: attacks
go against `processes.bare(model)`.
"""


def fit(
    model: nn.Module,
    lesson: Lesson,
    objective: Objective,
    score: Callable[[nn.Module], Score],
    record: Record,
    watch: Watch = never,
) -> list[Epoch]:
    """Train a model, or go on with it; it ends with the weights of the epoch that `curves.kept` chooses.

    Args:
        model: changed in place, moved to the device.
        lesson: what it is trained on.
        objective: the loss of each batch.
        score: judges the model, in evaluation mode, after each epoch, on validation clips.
        record: where progress is kept; an unfinished run that is found there is taken up.
        watch: says after each epoch whether training goes on from the kept epoch's weights instead.

    Raises:
        InputError: the clips cannot be trained on, or the loss is not finite for the second time.
    """
    lesson.require_learnable()
    learner = _Learner(model, lesson, objective)
    if learner.take_up(record.scratch.read()) and processes.is_first():
        say(f"{record.what}: taken up after epoch {len(learner.curve)} of {lesson.recipe.epochs}")
        curves.write(record.curve, learner.curve)
    progress = Progress(record.what, lesson.recipe.epochs, "epoch", done=len(learner.curve))
    while len(learner.curve) < lesson.recipe.epochs:
        row = learner.learn_epoch(score)
        if watch(learner.curve):
            learner.take_back()
        if processes.is_first():
            record.scratch.write(learner.state())
            curves.write(record.curve, learner.curve)
            progress.add(note=f"loss {row.loss:.3f}, validation accuracy {row.validation_accuracy:.3f}")
    progress.close()
    model.load_state_dict(learner.kept)
    return learner.curve


def cross_entropy(model: nn.Module, images: Tensor, batch: Batch, label_smoothing: float) -> tuple[Tensor, Tensor]:
    """The loss of images that stand for a batch's, and their logits; the model is put into training mode."""
    logits: Tensor = model.train()(images.contiguous(memory_format=torch.channels_last))
    return batch.loss(logits, label_smoothing), logits


class _NotFiniteError(Exception):
    """The loss or a weight is not finite; the message says where."""


class _Learner:
    """A model in training, with all that changes as it goes on."""

    def __init__(self, model: nn.Module, lesson: Lesson, objective: Objective) -> None:
        self.fabric = processes.launch(lesson.compute)
        self.lesson, self.objective = lesson.on(self.fabric.device), objective
        self.bare = checkpoints.on_device(processes.synced(model), self.fabric.device)
        recipe = lesson.recipe
        optimizer = torch.optim.AdamW(
            self.bare.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, total_steps=recipe.epochs * lesson.steps
        )
        self.model, self.optimizer = self.fabric.setup(self.bare, optimizer)
        self.pieces, self.setbacks = 1, 0
        self.kept = deepcopy(self.bare.state_dict())
        self.curve: list[Epoch] = []
        self.rate = 0.0

    def state(self) -> State:
        """All that a later process needs to go on as if nothing had happened; not a copy."""
        return {
            "model": self.bare.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "pieces": self.pieces,
            "setbacks": self.setbacks,
            "kept": self.kept,
            "curve": [asdict(row) for row in self.curve],
        }

    def take_up(self, state: State | None) -> bool:
        """Go on from the state that a process left behind, the first one's; whether there was any."""
        state = self.fabric.broadcast(state)
        if state:
            self._restore(state)
        return bool(state)

    def _restore(self, state: State) -> None:
        self.bare.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.pieces, self.setbacks = state["pieces"], state["setbacks"]
        self.kept = state["kept"]
        self.curve = [Epoch(**row) for row in state["curve"]]

    def learn_epoch(self, score: Callable[[nn.Module], Score]) -> Epoch:
        """Train for an epoch, judge the model, and remember its weights if they are to be kept so far."""
        start = time.perf_counter()
        loss, accuracy = self._train_safely()
        speed = self.lesson.steps * self.lesson.batch_size / (time.perf_counter() - start)
        judged: Score = self.fabric.broadcast(score(self.bare.eval()))
        row = Epoch(
            epoch=len(self.curve) + 1,
            loss=loss,
            accuracy=accuracy,
            validation_accuracy=judged.accuracy,
            validation_score=judged.value,
            standard_error=judged.standard_error,
            learning_rate=self.rate,
            clips_per_second=round(speed, 1),
        )
        self.curve.append(row)
        if curves.kept(self.curve) is row:
            self.kept = deepcopy(self.bare.state_dict())
        return row

    def take_back(self) -> None:
        """Go on from the weights of the epoch that is kept so far."""
        self.bare.load_state_dict(self.kept)
        row = self.curve[-1]
        say(
            f"epoch {row.epoch}: the score fell to {row.validation_score:.3f} while training accuracy rose to "
            f"{row.accuracy:.3f}: back to the weights of epoch {curves.kept(self.curve).epoch}"
        )

    def _train_safely(self) -> tuple[float, float]:
        """Train for an epoch; begin it again with a remedy if it fails."""
        start = deepcopy(self.state())
        while True:
            try:
                return self._train_epoch()
            except _NotFiniteError as error:
                problem, remedy = str(error), self._slow_down
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                problem, remedy = "out of memory", self._accumulate
            # Only here the failed epoch's tensors are free: an exception holds on to them.
            self._restore(deepcopy(start))
            remedy(problem)
            start = deepcopy(self.state())

    def _slow_down(self, problem: str) -> None:
        if self.setbacks:
            raise InputError(f"{problem}, for the second time: lower the learning rate, or look at these clips")
        say(f"{problem}: back to the state before the epoch, with half the learning rate from here on")
        self.setbacks += 1
        for group in self.optimizer.param_groups:
            group.update({key: group[key] / 2 for key in ("lr", "initial_lr", "max_lr", "min_lr")})

    def _accumulate(self, problem: str) -> None:
        if 2 * self.pieces > self.lesson.batch_size // 2 or self.fabric.world_size > 1:
            raise InputError(f"{problem} in training, in batches of {self.lesson.batch_size} in {self.pieces} pieces")
        self.pieces *= 2
        say(f"{problem}: each batch of {self.lesson.batch_size} clips is computed in {self.pieces} pieces from here on")

    def _train_epoch(self) -> tuple[float, float]:
        """Mean loss and accuracy over the batches of one more epoch."""
        epoch, rank = len(self.curve) + 1, self.fabric.global_rank
        torch.manual_seed(int(seeding.generator(self.lesson.seed, "dropout", epoch, rank).integers(2**63)))
        batches = self.lesson.batches(epoch, self.fabric.device, rank)
        steps = torch.stack([self._step(batch) for batch in batches])
        steps = torch.as_tensor(self.fabric.all_reduce(steps, reduce_op="mean"))
        self._require_finite(steps[:, 0], epoch)
        loss, accuracy = steps.mean(0).tolist()
        return loss, accuracy

    def _step(self, batch: Batch) -> Tensor:
        """Change the weights by the loss of a batch: loss and accuracy, shape (2,)."""
        self.optimizer.zero_grad()
        total = torch.zeros(2, device=self.fabric.device)
        for piece in batch.split(self.pieces):
            share = len(piece.indices) / len(batch.indices)
            loss, logits = self.objective(self.model, piece)
            self.fabric.backward(loss * share)
            right = (logits.detach().argmax(1) == piece.labels).float().mean()
            total += share * torch.stack([loss.detach(), right])
        self.optimizer.step()
        self.rate = float(self.schedule.get_last_lr()[0])
        self.schedule.step()
        return total

    def _require_finite(self, losses: Tensor, epoch: int) -> None:
        """Raise an error that names the first step whose loss is not finite, or after which weights are not."""
        bad = [step for step, loss in enumerate(losses.tolist()) if not torch.isfinite(torch.tensor(loss))]
        if not bad and all(bool(weight.isfinite().all()) for weight in self.bare.parameters()):
            return
        step = bad[0] if bad else len(losses) - 1
        clips = ", ".join(self.lesson.clips[position] for position in self.lesson.order(epoch)[step].tolist())
        what = f"the loss is {losses[step]:.4g}" if bad else "weights are not finite"
        raise _NotFiniteError(f"{what} in epoch {epoch}, step {step + 1} of {len(losses)}, on the clips {clips}")


def _is_out_of_memory(error: RuntimeError) -> bool:
    """PyTorch's own error on a GPU; on a CPU the text of the allocator's."""
    texts = ("not enough memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in texts)
