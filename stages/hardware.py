"""Device, precision and processes: what the machine has, unless params.yaml says otherwise."""

import os
from typing import Annotated, Literal

import torch
from pydantic import Field

from stages.console import InputError
from stages.params import Count, Parameters


class ComputeParams(Parameters):
    """Where and how the work is done. No stage tracks it: a change reruns nothing."""

    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "bfloat16", "float32"]
    workers: Annotated[Count, Field(ge=0)]
    batch_size: Annotated[Count, Field(ge=1)]

    @property
    def processes(self) -> int:
        """Number of worker processes: `workers`, or one a core where that is 0."""
        return self.workers or os.cpu_count() or 1

    def torch_device(self) -> torch.device:
        """The device asked for, or the best one there is.

        Raises:
            InputError: the machine has no such device.
        """
        present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        if self.device == "auto":
            return torch.device(next(kind for kind, there in present.items() if there))
        if not present[self.device]:
            raise InputError(f"compute.device: {self.device} is not available on this machine; use auto or cpu")
        return torch.device(self.device)

    def autocast(self) -> torch.autocast:
        """Context for forward passes: bfloat16 where asked for or native, float32 otherwise."""
        device = self.torch_device()
        low = self.precision == "bfloat16" or (self.precision == "auto" and has_native_bfloat16(device))
        return torch.autocast(device.type, torch.bfloat16, enabled=low)


def has_native_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; emulation is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def repeatable(seed: int) -> None:
    """Make PyTorch draw the same numbers and choose the same kernels at every run on the same machine."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
