"""What a stage says while it works: lines of its log, and how far it is."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

SECONDS_BETWEEN_LOG_LINES = 15.0

T = TypeVar("T")


def log(message: str) -> None:
    """Print one line, at once, without breaking a progress bar."""
    tqdm.write(message, file=sys.stderr)
    sys.stderr.flush()


class Progress:
    """A count of the work done so far: a bar on a terminal, a line now and then in a log."""

    def __init__(self, what: str, total: int, unit: str = "clip", done: int = 0) -> None:
        """Begin to count the work done.

        Args:
            what: name of the work, such as "attack dwt_tonnetz resnet18 fold 5".
            total: number of units to do, >= 0.
            unit: name of one unit.
            done: number of units done before, by an earlier process.
        """
        self.what, self.total, self.unit = what, total, unit
        self.before = self.done = done
        self.start = self.last = time.monotonic()
        self.bar = tqdm(desc=what, total=total, unit=unit, initial=done, disable=None) if sys.stderr.isatty() else None

    def add(self, count: int = 1, note: str = "") -> None:
        """Count `count` more units as done; `note` is shown behind them."""
        self.done += count
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(count)
            return
        now = time.monotonic()
        if now - self.last >= SECONDS_BETWEEN_LOG_LINES or self.done == self.total:
            self.last = now
            log(self._line(now - self.start, note))

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self.bar is not None:
            self.bar.close()

    def _line(self, seconds: float, note: str) -> str:
        line = f"{self.what}: {self.done}/{self.total} {self.unit}s"
        rate = (self.done - self.before) / max(seconds, 1e-9)
        left = f", {(self.total - self.done) / rate:.0f} s left" if rate else ""
        return f"{line}, {rate:.3g} {self.unit}s/s, {seconds:.0f} s elapsed{left}" + (f", {note}" if note else "")


def track(items: Iterable[T], *, what: str, total: int, unit: str = "clip") -> Iterator[T]:
    """Yield the items, and count each as done when the next one is asked for."""
    counter = Progress(what, total, unit)
    for item in items:
        yield item
        counter.add()
    counter.close()
