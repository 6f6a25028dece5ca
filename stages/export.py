"""A trained model as one program, from waveform to logits, written beside it: it runs without this project."""

import argparse
import sys
from functools import partial
from pathlib import Path

from stages.core import cli
from stages.inference.classifier import load_classifier
from stages.inference.export import write_onnx, write_program


def main(model: Path, onnx: bool) -> None:
    """Write <model>.pt2, a program of `torch.export`, or <model>.onnx."""
    classifier = load_classifier(model)
    written = model.with_suffix(".onnx" if onnx else ".pt2")
    (write_onnx if onnx else write_program)(classifier, written)
    sys.stdout.write(f"{written}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.export", description=__doc__)
    parser.add_argument("model", type=Path, help="a model's file, such as models/…/hardened.safetensors")
    parser.add_argument("--onnx", action="store_true", help="write ONNX instead of a program of torch.export")
    return parser


if __name__ == "__main__":
    cli.leave_after(partial(main, **vars(_parser().parse_args())))
