"""Device and precision: what the machine has, unless `compute` says otherwise."""

import os

import torch

from stages.core.compute import ComputeParams
from stages.core.errors import InputError


def pick_device(compute: ComputeParams) -> torch.device:
    """Pick the device asked for, or the best one there is.

    Raises:
        InputError: the machine has no such device.
    """
    if compute.device == "auto":
        return best_device()
    if not _present()[compute.device]:
        raise InputError(f"compute.device: {compute.device} is not available on this machine; use auto or cpu")
    return torch.device(compute.device)


def best_device() -> torch.device:
    """Pick the best device that there is."""
    return torch.device(next(kind for kind, there in _present().items() if there))


def without_mps(device: torch.device) -> torch.device:
    """Replace Apple's GPU by the CPU: it has no float64, in which some front ends sum."""
    return torch.device("cpu") if device.type == "mps" else device


def _present() -> dict[str, bool]:
    """Tell which devices there are, the best first."""
    return {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}


def autocast(compute: ComputeParams) -> torch.autocast:
    """Make the context for forward passes: bfloat16 where asked for or native, float32 otherwise."""
    return torch.autocast(pick_device(compute).type, torch.bfloat16, enabled=uses_bfloat16(compute))


def uses_bfloat16(compute: ComputeParams) -> bool:
    """Tell whether bfloat16 is asked for, or left open and native."""
    return compute.precision == "bfloat16" or (
        compute.precision == "auto" and has_native_bfloat16(pick_device(compute))
    )


def has_native_bfloat16(device: torch.device) -> bool:
    """Tell whether the device multiplies bfloat16 in hardware; emulation is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def describe(compute: ComputeParams) -> str:
    """Name all that decides how numbers are rounded: equal runs on equal terms give equal bytes."""
    precision = "bfloat16" if uses_bfloat16(compute) else "float32"
    return f"torch {torch.__version__}, {precision} on {pick_device(compute).type}, {torch.get_num_threads()} threads"


def seed_everything(seed: int) -> None:
    """Make PyTorch draw the same numbers and choose the same kernels at every run on the same machine."""
    torch.manual_seed(seed)
    make_deterministic()


def make_deterministic() -> None:
    """Make PyTorch choose the same kernels at every run, and compute float32 in float32."""
    # All that is used here is deterministic on a CPU, where the switch would only load PyTorch's compiler: 3 s a stage.
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        # float32 is what verdicts are given in; by default convolutions round it to 10 bits of mantissa.
        torch.backends.cudnn.allow_tf32 = False
        torch.use_deterministic_algorithms(True)
