"""What a trained model takes sound files for: the class, its probability, and the runners-up."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from stages.core import cli
from stages.core.device import best_device, make_deterministic, without_mps
from stages.core.errors import InputError
from stages.inference.classifier import load_classifier
from stages.inference.prediction import Prediction, predict_all, sound_files


def main(model: Path, paths: list[Path], top: int, show: Callable[[Sequence[Prediction], int], str]) -> None:
    """Print what the model takes the files for, then an error that names those that cannot be read."""
    make_deterministic()
    classifier = load_classifier(model).to(without_mps(best_device()))
    found, errors = predict_all(classifier, sound_files(paths))
    sys.stdout.write(show(found, min(top, len(classifier.classes))))
    if errors:
        raise InputError("\n".join(map(str, errors)))


def as_table(found: Sequence[Prediction], top: int) -> str:
    """Lay predictions out for people."""
    rows = [[str(each.file), *(f"{label} {share:.3f}" for label, share in each.ranking[:top])] for each in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "".join(f"{line}\n" for line in lines)


def as_csv(found: Sequence[Prediction], top: int) -> str:
    """Write a row a file: its path, then classes and probabilities, the likeliest first."""
    names = [f"{name}_{place}" for place in range(1, top + 1) for name in ("class", "probability")]
    rows = [[each.file, each.windows, *(value for pair in each.ranking[:top] for value in pair)] for each in found]
    return pd.DataFrame(rows, columns=["file", "windows", *names]).to_csv(index=False)


def as_json(found: Sequence[Prediction], top: int) -> str:
    """Write a list with an object a file."""
    rows = [
        {
            "file": str(each.file),
            "class": each.label,
            "probability": each.probability,
            "runners_up": [{"class": label, "probability": share} for label, share in each.ranking[1:top]],
            "windows": each.windows,
        }
        for each in found
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.predict", description=__doc__)
    parser.add_argument("model", type=Path, help="a model's file, such as models/…/hardened.safetensors")
    parser.add_argument("paths", type=Path, nargs="+", metavar="file", help="sound files, or folders of them")
    shown = "number of classes shown for each file (3)"
    parser.add_argument("--top", type=int, default=3, choices=range(1, 1001), metavar="N", help=shown)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", dest="show", action="store_const", const=as_json, help="print JSON")
    forms.add_argument("--csv", dest="show", action="store_const", const=as_csv, help="print CSV")
    parser.set_defaults(show=as_table)
    return parser


if __name__ == "__main__":
    cli.leave_after(partial(main, **vars(_parser().parse_args())))
