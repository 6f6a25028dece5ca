"""Files fetched from the net: https, resumed after a break, tried again, kept in the user's cache folder."""

import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

import pooch
import requests
from filelock import FileLock

from stages.core import files
from stages.core.errors import InputError
from stages.core.progress import Progress, log

MEGABYTE = 10**6

READ = 2**16
"""Number of bytes taken at a time: what comes of a chunk before the connection breaks is lost."""

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
MOST_REDIRECTS = 20
BUSY = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses after which another try may succeed."""


@dataclass(frozen=True)
class Patience:
    """The durations, in seconds, of waiting for a server."""

    timeout: float = 60.0
    """Seconds without a byte after which a connection counts as broken."""
    waits: tuple[float, ...] = (1.0, 4.0, 15.0, 60.0)
    """Seconds between one try that brought nothing new and the next."""


class BrokenError(Exception):
    """The error of a try that ended early; the next try may go on from there."""


def cache_folder() -> Path:
    """Find the folder where downloads are kept: the user's cache folder, whatever the checkout."""
    return Path(pooch.os_cache("soundproof"))


def is_address(source: str) -> bool:
    """Tell whether the source is an address on the net rather than a path."""
    return source.partition("://")[0].lower() in {"http", "https", "ftp"}


def fetch(address: str, folder: Path, patience: Patience | None = None) -> Path:
    """Fetch the file at an address, or take it from the folder if it is there already.

    Args:
        address: address by https, or by http on this very machine.
        folder: folder to keep the file in, whole under its own name, in part under that name and `.part`.
        patience: times to wait for a slow or failing server.

    Raises:
        InputError: the address is refused, cannot be reached, or answers with an error; the disk is too full.
    """
    _require_secure(address)
    target = folder / _file_name(address)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f"{target.name}.lock")):
            if not target.exists():
                _fetch(address, target, _Tries(patience or Patience()))
    except PermissionError as error:
        raise InputError(f"{folder}, where downloads are kept, cannot be written: {error.strerror}") from None
    return target


def _fetch(address: str, target: Path, tries: "_Tries") -> None:
    partial = target.with_name(f"{target.name}.part")
    while not _attempt(address, partial, tries):
        pass
    partial.replace(target)
    partial.with_suffix(".version").unlink(missing_ok=True)


class _Tries:
    """A count of the tries that brought nothing new."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.waits = list(patience.waits)

    def wait(self, address: str, reason: object, progressed: bool) -> None:
        if progressed:
            self.waits = list(self.patience.waits)
        if not self.waits:
            raise InputError(f"{address} could not be fetched: {reason}; what has come is kept, run again to go on")
        log(f"{address}: {reason}; trying again in {self.waits[0]:g} s")
        time.sleep(self.waits.pop(0))


def _attempt(address: str, partial: Path, tries: _Tries) -> bool:
    """Try once to get the rest of the file; tell whether the file is whole now."""
    before = _size(partial)
    try:
        _receive(address, partial, tries.patience.timeout)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, BrokenError) as error:
        tries.wait(address, error, progressed=_size(partial) > before)
        return False
    except (requests.RequestException, ValueError) as error:
        raise InputError(f"{address} could not be fetched: {error}") from None
    return True


def _size(partial: Path) -> int:
    return partial.stat().st_size if partial.exists() else 0


def _receive(address: str, partial: Path, timeout: float) -> None:
    """Get the missing part of a file; begin at its start where the server cannot resume or the file has changed."""
    version = partial.with_suffix(".version")
    have = _size(partial)
    headers = {"Accept-Encoding": "identity"}
    if have and version.exists():
        headers |= {"Range": f"bytes={have}-", "If-Range": version.read_text(encoding="utf-8")}
    with _ask(address, headers, timeout) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            partial.unlink(missing_ok=True)
            raise BrokenError("the server has another file by now")
        if answer.status_code in BUSY:
            raise BrokenError(f"the server answers {answer.status_code} {answer.reason}")
        answer.raise_for_status()
        if not _resumes(answer, have):
            partial.unlink(missing_ok=True)
            version.unlink(missing_ok=True)
            if stamp := _stamp(answer):
                version.write_text(stamp, encoding="utf-8")
        _save(answer, partial)


def _ask(address: str, headers: dict[str, str], timeout: float) -> requests.Response:
    """Send a GET and follow redirects, none of which may leave https; return the answer."""
    for _ in range(MOST_REDIRECTS):
        answer = requests.get(address, headers=headers, stream=True, timeout=timeout, allow_redirects=False)
        if not answer.is_redirect:
            return answer
        answer.close()
        address = urljoin(address, answer.headers["Location"])
        _require_secure(address)
    raise InputError(f"{address} redirects without end; give another dataset.source")


def _resumes(answer: requests.Response, have: int) -> bool:
    """Tell whether the answer goes on after `have` bytes, rather than beginning at the start."""
    if answer.status_code != requests.codes.partial_content:
        return False
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        raise InputError(f"{answer.url} could not be fetched: the server resumes elsewhere than it was asked to")
    return True


def _stamp(answer: requests.Response) -> str | None:
    """Read the server's mark by which the file can be known again; a weak tag cannot vouch for its bytes."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")


def _save(answer: requests.Response, partial: Path) -> None:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise InputError(f"{answer.url} could not be fetched: the server sends it encoded, which was not asked for")
    have = _size(partial)
    rest = int(answer.headers.get("Content-Length", 0))
    files.require_space(partial.parent, rest)
    progress = Progress(f"fetching {urlsplit(answer.url).path}", (have + rest) // MEGABYTE, "MB")
    with files.disk(partial), partial.open("ab" if have else "wb") as file:
        for chunk in answer.iter_content(READ):
            file.write(chunk)
            have += len(chunk)
            if fresh := have // MEGABYTE - progress.done:
                progress.add(fresh)
    progress.close()


def _require_secure(address: str) -> None:
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise InputError(f"{address} is no address: {error}") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise InputError(f"{address}: only https is fetched from, and http on this machine itself")


def _file_name(address: str) -> str:
    """Make a readable file name, another one for each address."""
    stem = PurePosixPath(unquote(urlsplit(address).path)).name.replace("\\", "_") or "download"
    return f"{sha256(address.encode()).hexdigest()[:16]}-{stem[-100:]}"
