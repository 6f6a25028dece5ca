"""A trained model under attack: its float32 verdict, and the face that it shows to attacks."""

from functools import cached_property

import foolbox
import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from stages.core import device
from stages.core.arrays import Images, Integers
from stages.core.compute import ComputeParams
from stages.core.device import pick_device
from stages.models import checkpoints


class Victim:
    """A model in evaluation mode, on the device, as attacks and verdicts see it; its weights stay as they are."""

    def __init__(self, model: nn.Module, compute: ComputeParams) -> None:
        """Move the model to the device.

        Args:
            model: maps images, shape (N, 1, height, width), in [0, 1], to logits, shape (N, classes).
            compute: device, precision and batch size.
        """
        self.compute = compute
        self.device = pick_device(compute)
        self.model = checkpoints.on_device(model.eval(), self.device)

    def logits(self, images: Tensor) -> Tensor:
        """Compute logits in float32, whatever precision attacks compute in: shape (N, classes), on the device."""
        with torch.no_grad():
            return torch.cat([self.model(channels_last(batch)) for batch in self.batches(images)])

    def predict(self, images: Tensor) -> Tensor:
        """Predict the classes of images, shape (N,), on the device."""
        return self.logits(images).argmax(1)

    def batches(self, images: Tensor) -> list[Tensor]:
        """Move images, or labels, to the device, in batches of at most `compute.batch_size`."""
        pieces = images.split(self.compute.batch_size)
        return [piece.to(self.device) for piece in pieces]

    def as_foolbox(self) -> foolbox.PyTorchModel:
        """Wrap the model for Foolbox: with batch norm folded, and in low precision where it is native; done once."""
        return self._folded

    @cached_property
    def _folded(self) -> foolbox.PyTorchModel:
        folded = checkpoints.on_device(fuse(self.model), self.device).eval().requires_grad_(False)
        if device.uses_bfloat16(self.compute):
            _lower(folded)
        return attack_model(folded, self.compute)

    def as_foolbox_float32(self) -> foolbox.PyTorchModel:
        """Wrap the model for Foolbox's attacks on its decisions, which are those of `predict`, in float32."""
        return foolbox.PyTorchModel(_ChannelsLast(self.model).eval(), bounds=(0, 1), device=self.device)


def attack_model(model: nn.Module, compute: ComputeParams) -> foolbox.PyTorchModel:
    """Wrap a model, in evaluation mode, for attacks through Foolbox: images in [0, 1], logits in float32."""
    return foolbox.PyTorchModel(_Autocast(model, compute).eval(), bounds=(0, 1), device=pick_device(compute))


def _lower(model: nn.Module) -> None:
    """Round the weights once: autocast would do so at every pass, as it keeps its copies only for training."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.bfloat16()


def predictions(victim: Victim, images: Images) -> Integers:
    """Predict the classes, shape (N,), of N images, shape (N, 1, height, width); N may be 0."""
    if not len(images):
        return np.zeros(0, np.int64)
    classes: Integers = victim.predict(torch.from_numpy(images)).cpu().numpy()
    return classes


def channels_last(images: Tensor) -> Tensor:
    """Lay images out in memory in the order that convolutions are fastest in."""
    return images.contiguous(memory_format=torch.channels_last)


class _ChannelsLast(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(channels_last(images))
        return logits


class _Autocast(nn.Module):
    def __init__(self, model: nn.Module, compute: ComputeParams) -> None:
        super().__init__()
        self.model, self.compute = model, compute

    def forward(self, images: Tensor) -> Tensor:
        with device.autocast(self.compute):
            logits: Tensor = self.model(channels_last(images))
        return logits.float()
