"""A classifier as one program, from waveform to logits, that runs without this project."""

import importlib.util
from pathlib import Path
from typing import cast

import torch

from stages.core import files
from stages.core.errors import InputError
from stages.inference.classifier import Classifier

EXAMPLES = 2
"""Number of clips that the program is traced with; it then takes any number."""

LARGEST_BATCH = 2**16


def write_program(classifier: Classifier, path: Path) -> None:
    """Write a program of `torch.export`: `torch.export.load(path).module()` is the classifier.

    The program takes waveforms, shape (batch, samples), float32 in [-1, 1], and gives logits, shape (batch, classes).
    """
    program = torch.export.export(classifier, _examples(classifier), dynamic_shapes=_any_batch())
    with files.replacing(path) as partial, partial.open("wb") as file:
        torch.export.save(program, file)


def write_onnx(classifier: Classifier, path: Path) -> None:
    """Write a program in the format of ONNX, from `waveforms` to `logits`, as `write_program` does.

    Raises:
        InputError: the packages `onnx` and `onnxscript` are missing, or ONNX lacks an operator, which is named.
    """
    if missing := [name for name in ("onnx", "onnxscript") if not importlib.util.find_spec(name)]:
        raise InputError(f"ONNX needs the packages {' and '.join(missing)}: run `pip install onnx onnxscript`")
    try:
        program = torch.onnx.export(
            classifier,
            _examples(classifier),
            dynamo=True,
            dynamic_shapes=_any_batch(),
            input_names=["waveforms"],
            output_names=["logits"],
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        raise InputError(f"{path} cannot be written, ONNX lacks an operator: {_reason(error)}") from error
    with files.replacing(path) as partial:
        cast(torch.onnx.ONNXProgram, program).save(partial)


def _examples(classifier: Classifier) -> tuple[torch.Tensor]:
    return (torch.zeros(EXAMPLES, classifier.audio.samples),)


def _any_batch() -> tuple[dict[int, torch.export.Dim]]:
    return ({0: torch.export.Dim("batch", min=1, max=LARGEST_BATCH)},)


def _reason(error: BaseException) -> str:
    """Find the first line of what an error was caused by."""
    while error.__cause__:
        error = error.__cause__
    return str(error).partition("\n")[0]
