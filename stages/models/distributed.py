"""The processes that train one model, or attack it, together, by Lightning Fabric: one for each device."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from stages.core import device
from stages.core.compute import ComputeParams
from stages.core.device import pick_device
from stages.core.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

LONGEST_WAIT = timedelta(hours=6)
"""Longest wait for another process: its clips may take it long, but GPUs do not notice one that was killed."""

T = TypeVar("T")


def join(compute: ComputeParams) -> None:
    """Start the processes of a stage that does not train, if several are asked for; raises as `launch` does.

    Afterwards "cuda" is this process's own GPU: Fabric makes it the current one.
    """
    _require_as_asked(compute)
    if compute.world_size > 1:
        launch(compute)


def launch(compute: ComputeParams) -> "Fabric":
    """Set up Fabric, on this process's device and in its precision, with the other processes started.

    torchrun has started them already; otherwise this one starts those of its machine.

    Raises:
        InputError: the processes that were started are not those that `compute` asks for.
    """
    from lightning_fabric import Fabric  # noqa: PLC0415 - it takes 1.5 s to import, which one process rarely needs
    from lightning_fabric.strategies.ddp import DDPStrategy  # noqa: PLC0415

    _require_as_asked(compute)
    wanted = compute.world_size
    fabric = Fabric(
        accelerator=pick_device(compute).type,
        devices=compute.devices,
        num_nodes=compute.nodes,
        strategy=DDPStrategy(timeout=LONGEST_WAIT) if wanted > 1 else "auto",
        precision="bf16-mixed" if device.uses_bfloat16(compute) else "32-true",
    )
    if wanted > 1:
        fabric.launch()
    return fabric


def _require_as_asked(compute: ComputeParams) -> None:
    wanted, started = compute.world_size, int(os.environ.get("WORLD_SIZE", "1"))
    if started not in (1, wanted):
        raise InputError(
            f"{started} processes were started, but compute.devices x compute.nodes is {wanted}: make them equal"
        )


def rank() -> int:
    """Tell the number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_main_process() -> bool:
    """Tell whether this process is the one that writes."""
    return rank() == 0


def broadcast(value: T) -> T:
    """Give the first process's value to all processes; its tensors are on the CPU."""
    values = [value]
    if distributed.is_initialized():
        distributed.broadcast_object_list(values)
    return values[0]


def all_gather(value: T) -> list[T]:
    """Give the values of all processes, by rank, to all of them; their tensors are on the CPU."""
    values = [value]
    if distributed.is_initialized():
        values *= distributed.get_world_size()
        distributed.all_gather_object(values, value)
    return values


def unwrap(model: nn.Module) -> nn.Module:
    """Return the network that Fabric has wrapped, or the model itself if it is not wrapped.

    Attacks go against this network: every forward pass through the wrapper takes part in the exchange of gradients.
    """
    wrapped = model.module if hasattr(model, "module") else model
    return wrapped if isinstance(wrapped, nn.Module) else model


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the clips of all processes; PyTorch's own does not run on CPUs."""

    @classmethod
    def like(cls, layer: nn.BatchNorm2d) -> "SyncedBatchNorm":
        """Make a synced layer in place of another one, with its very weights and statistics."""
        synced = cls(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        synced.load_state_dict(layer.state_dict())
        return synced.train(layer.training).to(next(layer.buffers()).device)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images over all processes: shape (batch, channels, height, width), as given."""
        if not self.training:
            return functional.batch_norm(
                images, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        values, axes = images.float(), (0, 2, 3)
        mean = _mean_over_processes(values.mean(axes))
        centred = values - mean[:, None, None]
        variance = _mean_over_processes(centred.square().mean(axes))
        self._track(mean.detach(), variance.detach(), values[:, 0].numel() * distributed.get_world_size())
        scale = (variance + self.eps).rsqrt() * (1 if self.weight is None else self.weight)
        shift = 0 if self.bias is None else self.bias[:, None, None]
        return (centred * scale[:, None, None] + shift).to(images.dtype)

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum or 0.0)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum or 0.0)


class _Sum(torch.autograd.Function):
    """The sum over all processes, of values on the way forward and of gradients on the way back."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def _mean_over_processes(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)
    return total / distributed.get_world_size()


def convert_sync_batchnorm(model: nn.Module) -> nn.Module:
    """Make the model's batch normalisation span all processes, where there are several."""
    if not (distributed.is_initialized() and distributed.get_world_size() > 1):
        return model
    if type(model) is nn.BatchNorm2d:
        return SyncedBatchNorm.like(model)
    for name, layer in list(model.named_modules()):
        if type(layer) is nn.BatchNorm2d:
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, SyncedBatchNorm.like(layer))
    return model
