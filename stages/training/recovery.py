"""What training does about a loss that is not finite, and about too little memory."""

from copy import deepcopy

import torch

from stages.core.errors import InputError
from stages.core.progress import log
from stages.models.resume import State
from stages.training.trainer import NotFiniteError, Trainer


class Recovery:
    """A guard of training that begins a failed epoch again, with a remedy."""

    def __init__(self, trainer: Trainer) -> None:
        """Watch over a trainer."""
        self.trainer = trainer
        self.retries = 0
        """Number of times that a loss was not finite."""

    def state(self) -> State:
        """Gather all that a later process needs of the recovery."""
        return {"retries": self.retries}

    def restore(self, state: State) -> None:
        """Take over the state of an earlier process."""
        self.retries = state["retries"]

    def train_epoch(self, epoch: int) -> tuple[float, float]:
        """Train for an epoch; return the mean loss and accuracy over its batches.

        Raises:
            InputError: the loss is not finite for the second time, or a batch does not fit into the memory in pieces
                of two clips.
        """
        start = deepcopy(self.trainer.state())
        while True:
            try:
                return self.trainer.train_epoch(epoch)
            except NotFiniteError as error:
                problem, remedy = str(error), self._slow_down
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                problem, remedy = "out of memory", self._accumulate
            # Only here the failed epoch's tensors are free: an exception holds on to them.
            self.trainer.restore(deepcopy(start))
            remedy(problem)
            start = deepcopy(self.trainer.state())

    def _slow_down(self, problem: str) -> None:
        if self.retries:
            raise InputError(f"{problem}, for the second time: lower the learning rate, or look at these clips")
        log(f"{problem}: back to the state before the epoch, with half the learning rate from here on")
        self.retries += 1
        for group in self.trainer.optimizer.param_groups:
            group.update({key: group[key] / 2 for key in ("lr", "initial_lr", "max_lr", "min_lr")})

    def _accumulate(self, problem: str) -> None:
        trainer, size = self.trainer, self.trainer.data.batch_size
        if 2 * trainer.accumulation_steps > size // 2 or trainer.fabric.world_size > 1:
            pieces = trainer.accumulation_steps
            raise InputError(f"{problem} in training, in batches of {size} in {pieces} pieces")
        trainer.accumulation_steps *= 2
        log(f"{problem}: each batch of {size} clips is computed in {trainer.accumulation_steps} pieces from here on")


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Recognise PyTorch's own error on a GPU; on a CPU go by the text of the allocator's error."""
    texts = ("not enough memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in texts)
