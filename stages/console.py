"""What a stage says to the person who runs it: progress, one clear error, an exit status."""

import inspect
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import NoReturn, TypeVar

from tqdm import tqdm

SECONDS_BETWEEN_LOG_LINES = 15.0

T = TypeVar("T")


class InputError(Exception):
    """Something that the user gave is wrong; the message says what, where, and what would be right."""


def run(main: Callable[..., None]) -> NoReturn:
    """Call `main` with the command line's words and leave the process with the right exit status.

    0 on success; 1 after an `InputError`, whose message goes to stderr; 2 for a wrong number of words; 130 and 143
    after Ctrl-C and SIGTERM, since DVC records a stage that exits 0 as finished.
    """
    words = sys.argv[1:]
    names = list(inspect.signature(main).parameters)
    module = getattr(sys.modules["__main__"], "__spec__", None)
    if len(words) != len(names):
        sys.exit(_usage(module.name if module else sys.argv[0], names))
    signal.signal(signal.SIGTERM, _terminated)
    try:
        main(*words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def _usage(module: str, names: list[str]) -> NoReturn:
    print("usage: python -m", module, *[name.upper() for name in names], file=sys.stderr)
    sys.exit(2)


def _terminated(signum: int, frame: FrameType | None) -> NoReturn:
    print("terminated", file=sys.stderr)
    sys.exit(128 + signum)


def say(message: str) -> None:
    """Print one line, at once, without breaking a progress bar."""
    tqdm.write(message, file=sys.stderr)
    sys.stderr.flush()


def progress(items: Iterable[T], *, what: str, total: int, unit: str = "clip") -> Iterator[T]:
    """Pass the items on, showing a bar on a terminal and a line now and then in a log.

    Args:
        items: what is worked through.
        what: the work, such as "train dwt_tonnetz".
        total: number of items, >= 0.
        unit: what one item is.
    """
    if sys.stderr.isatty() and not os.environ.get("TQDM_DISABLE"):
        yield from tqdm(items, desc=what, total=total, unit=unit)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LOG_LINES or done == total:
            last = now
            say(_log_line(what, done, total, unit, now - start))


def _log_line(what: str, done: int, total: int, unit: str, seconds: float) -> str:
    rate = done / max(seconds, 1e-9)
    left = max(total - done, 0) / rate
    return f"{what}: {done}/{total} {unit}s, {rate:.3g} {unit}s/s, {seconds:.0f} s elapsed, {left:.0f} s left"
