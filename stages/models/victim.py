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
from stages.core.device import pick_device, without_mps
from stages.models import checkpoints


class Frozen(nn.Module):
    """The image as it is, without a gradient in its last rows: attacks by gradients leave these alone."""

    def __init__(self, rows: int) -> None:
        """Set how many of the last rows are frozen, >= 1."""
        super().__init__()
        self.rows = rows

    def forward(self, images: Tensor) -> Tensor:
        """Pass images on, shape (batch, 1, height, width)."""
        return torch.cat([images[:, :, : -self.rows], images[:, :, -self.rows :].detach()], 2)


class AttackedModel(foolbox.PyTorchModel):
    """A model as attacks see it, perhaps in low precision, and the float32 verdict that they may stop on."""

    def __init__(self, model: nn.Module, exact: nn.Module, device: torch.device) -> None:
        """Wrap a model for Foolbox.

        Args:
            model: maps what attacks change, in [0, 1], to logits.
            exact: the same in float32.
            device: where both are.
        """
        super().__init__(model, bounds=(0, 1), device=device)
        self.exact = exact


def exact_logits(model: foolbox.PyTorchModel, images: Tensor) -> Tensor:
    """Compute logits in float32, without gradients; a model without an `exact` one has no other precision."""
    with torch.no_grad():
        logits: Tensor = (model.exact if isinstance(model, AttackedModel) else model)(images)
    return logits


class Victim:
    """A model in evaluation mode, on the device, as attacks and verdicts see it; its weights stay as they are."""

    channels: tuple[str, ...] = ()
    """Names of the channels that examples must withstand on their way to the model."""

    def __init__(
        self, network: nn.Module, compute: ComputeParams, front_end: nn.Module | None = None, lead: float = 0.0
    ) -> None:
        """Move the model to the device.

        Args:
            network: maps images, shape (N, 1, height, width), in [0, 1], to logits, shape (N, classes).
            compute: device, precision and batch size.
            front_end: maps what attacks change, in [0, 1], to images; without it they change the images.
            lead: by how much, in logits, a class must lead all others for an attack to have reached it.
        """
        self.compute, self.lead = compute, lead
        # Front ends of sounds compute in float64, which Apple's GPU has not.
        of_images = front_end is None or isinstance(front_end, Frozen)
        self.device = pick_device(compute) if of_images else without_mps(pick_device(compute))
        self.network = checkpoints.on_device(network.eval(), self.device)
        self.front_end = (front_end or nn.Identity()).eval().to(self.device)
        self.model = Through(self.front_end, self.network)

    def logits(self, images: Tensor) -> Tensor:
        """Compute logits in float32, whatever precision attacks compute in: shape (N, classes), on the device."""
        with torch.no_grad():
            return torch.cat([self.model(batch) for batch in self.batches(images)])

    def predict(self, images: Tensor) -> Tensor:
        """Predict the classes of images, shape (N,), on the device."""
        return self.logits(images).argmax(1)

    def takes(self, examples: Tensor, classes: Tensor) -> Tensor:
        """Tell which examples the model takes for given classes, with the lead asked for: shape (N,), on the CPU."""
        logits = self.logits(examples).cpu()
        # Of two equal logits the first class has the verdict, as by `predict`.
        return (logits.argmax(1) == classes) & (logit_margin(logits, classes) >= self.lead)

    def leaves(self, examples: Tensor, classes: Tensor) -> Tensor:
        """Tell which examples the model takes for others than given classes, likewise: shape (N,), on the CPU."""
        logits = self.logits(examples).cpu()
        return (logits.argmax(1) != classes) & (-logit_margin(logits, classes) >= self.lead)

    def batches(self, images: Tensor) -> list[Tensor]:
        """Move images, or labels, to the device, in batches of at most `compute.batch_size`."""
        pieces = images.split(self.compute.batch_size)
        return [piece.to(self.device) for piece in pieces]

    def as_foolbox(self) -> foolbox.PyTorchModel:
        """Wrap the model for Foolbox: with batch norm folded, and in low precision where it is native; done once."""
        return AttackedModel(self.lowered, self.model.eval(), self.device)

    @cached_property
    def lowered(self) -> nn.Module:
        """The model as attacks see it: with batch norm folded, and in low precision where it is native."""
        folded = checkpoints.on_device(fuse(self.network), self.device).eval().requires_grad_(False)
        if device.uses_bfloat16(self.compute):
            _lower(folded)
        return lowered(folded, self.compute, self.front_end).eval()

    def as_foolbox_float32(self) -> foolbox.PyTorchModel:
        """Wrap the model for Foolbox's attacks on its decisions, which are those of `predict`, in float32."""
        return foolbox.PyTorchModel(self.model.eval(), bounds=(0, 1), device=self.device)


def attack_model(network: nn.Module, compute: ComputeParams) -> foolbox.PyTorchModel:
    """Wrap a network, in evaluation mode, for attacks through Foolbox: images in [0, 1], logits in float32."""
    model = lowered(network, compute, nn.Identity()).eval()
    return foolbox.PyTorchModel(model, bounds=(0, 1), device=pick_device(compute))


def lowered(network: nn.Module, compute: ComputeParams, front_end: nn.Module) -> nn.Module:
    """Put a network behind a front end, and let it compute in low precision where that is native.

    The front end does not: it takes logarithms of quiet and loud bins alike.
    """
    return Through(front_end, _Autocast(network, compute))


def logit_margin(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute how far the target's logit lies above the best other one; positive where the target is predicted.

    Args:
        logits: the model's logits, shape (batch, classes).
        targets: the target classes, shape (batch,).

    Returns:
        the margins, shape (batch,).

    Example:
        >>> logit_margin(torch.tensor([[2.0, 5.0, 1.0]]), torch.tensor([1]))
        tensor([3.])
    """
    others = logits.scatter(1, targets[:, None], -torch.inf).amax(1)
    return logits.gather(1, targets[:, None]).squeeze(1) - others


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


class Through(nn.Module):
    """A front end and a network in one."""

    def __init__(self, front_end: nn.Module, network: nn.Module) -> None:
        """Put both together.

        Args:
            front_end: maps what attacks change to images, shape (batch, 1, height, width).
            network: maps images to logits.
        """
        super().__init__()
        self.front_end, self.network = front_end, network

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute logits, shape (batch, classes)."""
        logits: Tensor = self.network(channels_last(self.front_end(inputs)))
        return logits


class _Autocast(nn.Module):
    def __init__(self, network: nn.Module, compute: ComputeParams) -> None:
        super().__init__()
        self.network, self.compute = network, compute

    def forward(self, images: Tensor) -> Tensor:
        with device.autocast(self.compute):
            logits: Tensor = self.network(images)
        return logits.float()
