"""The command line of a stage: its words, one clear error, an exit status."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from stages.core import files, paths
from stages.core.errors import InputError
from stages.core.grid import MODELS

CELL = ("representation", "architecture", "fold")
"""The words that name a cell."""

WORDS = {
    "representation": "of the images, such as dwt_tonnetz: a file of stages/representations",
    "architecture": "of the network, such as resnet18: a file of stages/architectures",
    "fold": "of the dataset, that the cell is tested on, such as 5",
    "model": "the model of the cell",
    "attack": "such as bim: a file of stages/attacks",
}
"""Meaning of each word of a command line."""

CHOICES = {"model": MODELS}


def run(main: Callable[..., None], *words: str) -> NoReturn:
    """Call `main` with the command line's words and leave the process with the right exit status.

    `--help` prints the stage's docstring and its words. The status is 0 on success; 1 after an `InputError`, whose
    message goes to stderr; 2 for wrong words; 130 and 143 after Ctrl-C and SIGTERM, since DVC records a stage that
    exits 0 as finished.

    Args:
        main: takes the words, as texts.
        words: names from `WORDS`.
    """
    given = vars(_parser(main, words).parse_args())

    def timed() -> None:
        start = time.perf_counter()
        main(**given)
        _note_seconds(_stage(main, list(given.values())), time.perf_counter() - start)

    leave_after(timed)


def leave_after(work: Callable[[], None]) -> NoReturn:
    """Do the work and leave the process, with an exit status as `run` has."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        work()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def _parser(main: Callable[..., None], words: tuple[str, ...]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {_module(main)}", description=sys.modules[main.__module__].__doc__
    )
    for word in words:
        parser.add_argument(word, help=WORDS[word], choices=CHOICES.get(word))
    return parser


def _module(main: Callable[..., None]) -> str:
    """Find the name of the module that was started, such as `stages.train`."""
    spec = sys.modules[main.__module__].__spec__
    return spec.name if spec else main.__module__


def _stage(main: Callable[..., None], words: list[str]) -> str:
    """Build the name of the DVC stage that runs this, such as `train@stft-resnet18-5`."""
    verb = _module(main).rpartition(".")[2]
    return f"{verb}@{'-'.join(words)}" if words else verb


def _note_seconds(stage: str, seconds: float) -> None:
    """Write down how long a stage took, where neither git nor DVC looks: equal runs differ in it."""
    with files.replacing(paths.TIMINGS / f"{stage}.json", writer=f".{os.getpid()}") as partial:
        partial.write_text(json.dumps({"seconds": round(seconds, 1)}) + "\n", encoding="utf-8")


def _terminated(signum: int, _frame: FrameType | None) -> NoReturn:
    print("terminated", file=sys.stderr)
    sys.exit(128 + signum)
