"""A trained model as a victim: its float32 verdict, and the face that it shows to attacks."""

import foolbox
import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from stages import checkpoints, hardware
from stages.compute import ComputeParams


class Victim:
    """A model in evaluation mode."""

    def __init__(self, model: nn.Module, compute: ComputeParams) -> None:
        """Move the model to the device.

        Args:
            model: from images, shape (N, 1, height, width), in [0, 1], to logits, shape (N, classes).
            compute: device, precision and batch size.
        """
        self.compute = compute
        self.device = hardware.device(compute)
        self.model = checkpoints.on_device(model.eval(), self.device)

    def logits(self, images: Tensor) -> Tensor:
        """In float32, whatever precision attacks compute in: shape (N, classes), on the device."""
        with torch.no_grad():
            return torch.cat([self.model(_channels_last(batch)) for batch in self.batches(images)])

    def predict(self, images: Tensor) -> Tensor:
        """Predicted classes, shape (N,)."""
        return self.logits(images).argmax(1)

    def batches(self, images: Tensor) -> list[Tensor]:
        """The images, or labels, on the device, at most `compute.batch_size` at a time."""
        pieces = images.split(self.compute.batch_size)
        return [piece.to(self.device) for piece in pieces]

    def exposed(self) -> foolbox.PyTorchModel:
        """The victim as Foolbox sees it: batch norm folded into the convolutions, low precision where it is native."""
        folded = checkpoints.on_device(fuse(self.model), self.device).eval().requires_grad_(False)
        if hardware.uses_bfloat16(self.compute):
            _lower(folded)
        return expose(folded, self.compute)

    def deciding(self) -> foolbox.PyTorchModel:
        """The victim as Foolbox sees it for an attack on its decisions: those of `predict`, in float32."""
        return foolbox.PyTorchModel(_ChannelsLast(self.model).eval(), bounds=(0, 1), device=self.device)


def expose(model: nn.Module, compute: ComputeParams) -> foolbox.PyTorchModel:
    """A model in evaluation mode, as Foolbox sees it: images in [0, 1], logits in float32."""
    return foolbox.PyTorchModel(_Autocast(model, compute).eval(), bounds=(0, 1), device=hardware.device(compute))


def _lower(model: nn.Module) -> None:
    """Round the weights once: autocast would do so at every pass, as it keeps its copies only for training."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.bfloat16()


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


class _ChannelsLast(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(_channels_last(images))
        return logits


class _Autocast(nn.Module):
    def __init__(self, model: nn.Module, compute: ComputeParams) -> None:
        super().__init__()
        self.model, self.compute = model, compute

    def forward(self, images: Tensor) -> Tensor:
        with hardware.autocast(self.compute):
            logits: Tensor = self.model(_channels_last(images))
        return logits.float()
