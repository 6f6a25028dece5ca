"""A network in training: its optimiser, its schedule, and one epoch of steps."""

import torch
from torch import Tensor, nn

from stages.core import seeding
from stages.models import checkpoints, distributed
from stages.models.resume import State
from stages.training.batches import Batch, TrainingData
from stages.training.objectives import LossFunction


class NotFiniteError(Exception):
    """The error that the loss or a weight is not finite; the message says where."""


class Trainer:
    """A network with AdamW on a one-cycle schedule, on as many devices as `compute` asks for."""

    def __init__(self, network: nn.Module, data: TrainingData, loss: LossFunction) -> None:
        """Move the network to the device, in place.

        Args:
            network: the network to train.
            data: the training data; its clips are moved to the device if they fit.
            loss: loss function of each batch.
        """
        self.fabric = distributed.launch(data.compute)
        self.data, self.loss = data.on(self.fabric.device), loss
        self.network = checkpoints.on_device(distributed.convert_sync_batchnorm(network), self.fabric.device)
        recipe = data.recipe
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, total_steps=recipe.epochs * data.steps
        )
        self.model, self.optimizer = self.fabric.setup(self.network, optimizer)
        self.accumulation_steps = 1
        """Number of pieces that each batch is computed in."""
        self.learning_rate = 0.0
        """Learning rate of the last step."""

    def state(self) -> State:
        """Gather all that a later process needs to go on as if nothing had happened; not a copy."""
        return {
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "accumulation_steps": self.accumulation_steps,
        }

    def restore(self, state: State) -> None:
        """Return to a state, an earlier or a later one."""
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.accumulation_steps = state["accumulation_steps"]

    def train_epoch(self, epoch: int) -> tuple[float, float]:
        """Take the steps of one epoch; return the mean loss and accuracy over its batches.

        Raises:
            NotFiniteError: the loss or a weight is not finite.
        """
        rank = self.fabric.global_rank
        torch.manual_seed(int(seeding.generator(self.data.seed, "dropout", epoch, rank).integers(2**63)))
        batches = self.data.batches(epoch, self.fabric.device, rank)
        steps = torch.stack([self._step(batch) for batch in batches])
        steps = torch.as_tensor(self.fabric.all_reduce(steps, reduce_op="mean"))
        self._require_finite(steps[:, 0], epoch)
        loss, accuracy = steps.mean(0).tolist()
        return loss, accuracy

    def _step(self, batch: Batch) -> Tensor:
        """Change the weights by the loss of a batch; return loss and accuracy, shape (2,)."""
        self.optimizer.zero_grad()
        total = torch.zeros(2, device=self.fabric.device)
        for piece in batch.split(self.accumulation_steps):
            share = len(piece.indices) / len(batch.indices)
            loss, logits = self.loss(self.model, piece)
            self.fabric.backward(loss * share)
            right = (logits.detach().argmax(1) == piece.labels).float().mean()
            total += share * torch.stack([loss.detach(), right])
        self.optimizer.step()
        self.learning_rate = float(self.schedule.get_last_lr()[0])
        self.schedule.step()
        return total

    def _require_finite(self, losses: Tensor, epoch: int) -> None:
        """Raise an error that names the first step with a loss, or weights after it, that are not finite."""
        bad = [step for step, loss in enumerate(losses.tolist()) if not torch.isfinite(torch.tensor(loss))]
        if not bad and all(bool(weight.isfinite().all()) for weight in self.network.parameters()):
            return
        step = bad[0] if bad else len(losses) - 1
        clips = ", ".join(self.data.clips[position] for position in self.data.permutation(epoch)[step].tolist())
        what = f"the loss is {losses[step]:.4g}" if bad else "weights are not finite"
        raise NotFiniteError(f"{what} in epoch {epoch}, step {step + 1} of {len(losses)}, on the clips {clips}")
