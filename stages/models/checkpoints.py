"""Model files: safetensors with what is needed to use them, checked when they are read."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from stages.architectures.base import build
from stages.core import files
from stages.core.errors import InputError
from stages.stores.features import Features


@dataclass(frozen=True)
class ModelSpec:
    """The description of a model's purpose: its architecture, its classes and its input."""

    architecture: str
    classes: list[str]
    input_shape: list[int]
    """Shape of one image: (channels, height, width)."""
    representation: str
    parameters: str
    """The representation's parameters, as JSON."""
    audio: str
    """The settings by which sounds are read, as JSON."""


def model_spec(architecture: str, store: Features) -> ModelSpec:
    """Make the spec of a model of this architecture, trained on this store."""
    return ModelSpec(
        architecture=architecture,
        classes=list(store.classes),
        input_shape=list(store.shape),
        representation=store.representation,
        parameters=store.parameters,
        audio=store.audio,
    )


def write(path: Path, model: nn.Module, spec: ModelSpec, training: Mapping[str, str]) -> None:
    """Write a model's weights, its spec and the facts of its training."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    content = save(tensors, {**training, **_as_texts(spec)})
    with files.replacing(path) as partial:
        partial.write_bytes(_with_sorted_header(content))


def load(path: Path, remedy: str) -> tuple[nn.Module, ModelSpec]:
    """Read the model of a file, whatever it is for, in evaluation mode, and its spec.

    Args:
        path: the file.
        remedy: what to do about a file that cannot be used, named in errors.

    Raises:
        InputError: the file is missing, damaged, or does not say what it is for.
    """
    found, tensors = _content(path, remedy)
    if missing := {field.name for field in fields(ModelSpec)} - found.keys():
        raise InputError(f"{path} does not say its {', '.join(sorted(missing))}; {remedy}")
    spec = ModelSpec(
        architecture=found["architecture"],
        classes=json.loads(found["classes"]),
        input_shape=json.loads(found["input_shape"]),
        representation=found["representation"],
        parameters=found["parameters"],
        audio=found["audio"],
    )
    return _model(path, spec, tensors, remedy), spec


def read(path: Path, expected: ModelSpec, stage: str) -> nn.Module:
    """Read the model of a file, in evaluation mode.

    Args:
        path: the file.
        expected: spec that the model must have.
        stage: the stage that writes it, named in errors.

    Raises:
        InputError: the file is missing, damaged, or the model is for something else.
    """
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro {stage}`")
    remedy = f"remove it and run `dvc repro {stage}`"
    found, tensors = _content(path, remedy)
    _require_same(path, found, _as_texts(expected), remedy)
    return _model(path, expected, tensors, remedy)


def _content(path: Path, remedy: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read the metadata and the tensors of a model file; reading runs no code from it."""
    if not path.is_file():
        raise InputError(f"{path} is missing; {remedy}")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            return file.metadata() or {}, tensors
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); {remedy}") from None


def _model(path: Path, spec: ModelSpec, tensors: Mapping[str, Tensor], remedy: str) -> nn.Module:
    network = build(spec.architecture, spec.input_shape, len(spec.classes))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).partition("\n")[2].strip()
        raise InputError(f"{path} holds the weights of another {spec.architecture} ({reason}); {remedy}") from None
    return network.eval()


def metadata(path: Path) -> dict[str, str]:
    """Read what a model file says of itself: its spec, and the facts of its training."""
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def _as_texts(spec: ModelSpec) -> dict[str, str]:
    """Turn the spec into safetensors' metadata: texts as they are, lists as JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in asdict(spec).items()}


def _with_sorted_header(content: bytes) -> bytes:
    """Put the header of a file into a fixed order: safetensors writes metadata in a random one.

    A file holds the length of the header, 8 bytes, little-endian; the header, JSON, padded with spaces; the tensors.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    padded = header.ljust(-(-len(header) // 8) * 8)
    return len(padded).to_bytes(8, "little") + padded + content[8 + length :]


def _require_same(path: Path, found: dict[str, str], expected: dict[str, str], remedy: str) -> None:
    for name, value in expected.items():
        if found.get(name) != value:
            raise InputError(f"{path} is a model with {name} {found.get(name)!r}, not {value!r}; {remedy}")


def on_device(model: nn.Module, device: torch.device) -> nn.Module:
    """Move the model to a device, in the memory layout that convolutions are fastest in."""
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
