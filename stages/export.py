"""For other tools: a trained model as one program, from waveform to logits, or adversarial sounds as WAV files."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from stages.core import cli
from stages.inference.classifier import load_classifier
from stages.inference.export import write_onnx, write_program
from stages.inference.wavs import read_sounds, write_sounds


def export_model(model: Path, onnx: bool) -> None:
    """Write <model>.pt2, a program of `torch.export`, or <model>.onnx; neither needs this project to run."""
    classifier = load_classifier(model)
    written = model.with_suffix(".onnx" if onnx else ".pt2")
    (write_onnx if onnx else write_program)(classifier, written)
    sys.stdout.write(f"{written}\n")


def export_sounds(path: Path, target: Path) -> None:
    """Write the sounds of an adversarial store into a new folder, or a zip."""
    count = write_sounds(read_sounds(path), target)
    sys.stdout.write(f"{target}: {count} sounds\n")


def _asked(parser: argparse.ArgumentParser) -> Callable[[], None]:
    """Choose by the source's name; words that do not go together end the process with status 2."""
    given = parser.parse_args()
    is_store = given.source.suffix == ".h5"
    if is_store != (given.to is not None):
        parser.error("an adversarial store, a .h5 file, needs --to, a folder or .zip file; nothing else takes it")
    if is_store:
        return partial(export_sounds, given.source, given.to)
    return partial(export_model, given.source, given.onnx)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.export", description=__doc__)
    parser.add_argument("source", type=Path, help="a model, models/….safetensors, or a store, data/…/sound_ddn.h5")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--onnx", action="store_true", help="write ONNX instead of a program of torch.export")
    forms.add_argument("--to", type=Path, help="a new folder, or a .zip file, for the sounds of a store")
    return parser


if __name__ == "__main__":
    cli.leave_after(_asked(_parser()))
