"""Fetching from a server of every temper, on this machine."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.datasets.base import downloads, sources
from stages.datasets.base.downloads import READ, Patience

CONTENT = bytes(range(256)) * 20_000
QUICK = Patience(timeout=0.5, waits=(0.01, 0.01))


@dataclass
class Temper:
    """How the server behaves; `seen` are the Range headers that came, one a request."""

    content: bytes = CONTENT
    ranges: bool = True
    tag: str = '"1"'
    statuses: list[int] = field(default_factory=list)
    """Answered first, one a request."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the connection is cut, one a request."""
    stall: bool = False
    location: str = ""
    """Redirected to; `loop` for somewhere else on this server, without end."""
    seen: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self) -> None:
        temper = self.server.temper
        temper.seen.append(self.headers.get("Range", ""))
        if temper.location:
            self.send_response(302)
            self.send_header("Location", self.path + "x" if temper.location == "loop" else temper.location)
            self.end_headers()
        elif temper.statuses and (status := temper.statuses.pop(0)):
            self.send_error(status)
        else:
            self._send(temper)

    def _send(self, temper: Temper) -> None:
        asked, start = self.headers.get("Range", ""), 0
        if temper.ranges and asked and self.headers.get("If-Range") == temper.tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(temper.content) - 1}/{len(temper.content)}")
        self.send_header("Content-Length", str(len(temper.content) - start))
        if temper.tag:
            self.send_header("ETag", temper.tag)
        self.end_headers()
        end = start + temper.cuts.pop(0) if temper.cuts else len(temper.content)
        self.wfile.write(temper.content[start:end])
        if temper.stall:
            self.wfile.flush()
            self.server.released.wait(5)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


class Server(ThreadingHTTPServer):
    temper: Temper
    released: threading.Event

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that give up on a slow server close the connection."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        made.temper, made.released = Temper(), threading.Event()
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.released.set()
        made.shutdown()
        thread.join()


def address(server: Server, rest: str = "/set.zip") -> str:
    return f"http://127.0.0.1:{server.server_port}{rest}"


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    first = downloads.fetch(address(server), tmp_path, QUICK)
    assert first.read_bytes() == CONTENT
    assert downloads.fetch(address(server), tmp_path, QUICK) == first
    assert len(server.temper.seen) == 1
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".lock", ".zip"]


def test_a_cut_off_download_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.temper.cuts = [30 * READ, 20 * READ]
    assert downloads.fetch(address(server), tmp_path, QUICK).read_bytes() == CONTENT
    assert server.temper.seen == ["", f"bytes={30 * READ}-", f"bytes={50 * READ}-"]


def test_another_run_goes_on_where_the_last_one_gave_up(server: Server, tmp_path: Path) -> None:
    server.temper.cuts = [10 * READ, 0, 0, 0]
    with pytest.raises(InputError, match="run again to go on"):
        downloads.fetch(address(server), tmp_path, QUICK)
    server.temper.cuts = []
    assert downloads.fetch(address(server), tmp_path, QUICK).read_bytes() == CONTENT
    assert server.temper.seen[-1] == f"bytes={10 * READ}-"


@pytest.mark.parametrize("changes", [{"ranges": False}, {"tag": ""}, {"tag": 'W/"weak"'}])
def test_from_the_start_where_the_server_cannot_resume(
    server: Server, tmp_path: Path, changes: dict[str, object]
) -> None:
    server.temper = Temper(cuts=[2_000_000], **changes)  # type: ignore[arg-type]
    assert downloads.fetch(address(server), tmp_path, QUICK).read_bytes() == CONTENT
    assert server.temper.seen == ["", "" if "tag" in changes else f"bytes={2_000_000 // READ * READ}-"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    server.temper.cuts = [2_000_000, 0, 0, 0]
    with pytest.raises(InputError):
        downloads.fetch(address(server), tmp_path, QUICK)
    server.temper = Temper(content=CONTENT[::-1], tag='"2"')
    assert downloads.fetch(address(server), tmp_path, QUICK).read_bytes() == CONTENT[::-1]


def test_failures_that_pass_are_waited_out(server: Server, tmp_path: Path) -> None:
    server.temper.statuses = [500, 503]
    assert downloads.fetch(address(server), tmp_path, QUICK).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("temper", "message", "requests"),
    [
        (Temper(statuses=[404]), "could not be fetched: 404", 1),
        (Temper(statuses=[500] * 9), "the server answers 500", 3),
        (Temper(location="loop"), "redirects without end", downloads.MOST_REDIRECTS),
        (Temper(stall=True, cuts=[0, 0, 0]), "could not be fetched: .*timed out", 3),
    ],
    ids=["404", "500", "redirects", "slow"],
)
def test_servers_that_do_not_give_the_file(
    server: Server, tmp_path: Path, temper: Temper, message: str, requests: int
) -> None:
    server.temper = temper
    with pytest.raises(InputError, match=message):
        downloads.fetch(address(server), tmp_path, QUICK)
    assert len(temper.seen) == requests
    assert not [path for path in tmp_path.iterdir() if path.suffix not in {".part", ".version", ".lock"}]


@pytest.mark.parametrize("source", ["http://example.org/a.zip", "ftp://example.org/a.zip"])
def test_only_safe_addresses_are_asked(source: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only https is fetched from"):
        downloads.fetch(source, tmp_path, QUICK)


def test_a_full_disk_is_said_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(InputError, match=r"no space for .*5\.1 MB needed"):
        downloads.fetch(address(server), tmp_path, QUICK)


def test_a_redirect_may_not_leave_https(server: Server, tmp_path: Path) -> None:
    server.temper = Temper(location="http://127.0.0.2:9/set.zip")
    with pytest.raises(InputError, match=r"http://127\.0\.0\.2:9/set\.zip: only https is fetched from"):
        downloads.fetch(address(server), tmp_path, QUICK)


def test_two_versions_are_never_spliced(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.temper.cuts = [30 * READ, 0, 0, 0]
    with pytest.raises(InputError):
        downloads.fetch(address(server), tmp_path, QUICK)
    server.temper = Temper(content=CONTENT[::-1], tag='"2"')
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
        with pytest.raises(InputError, match="no space for"):
            downloads.fetch(address(server), tmp_path, QUICK)
    assert downloads.fetch(address(server), tmp_path, QUICK).read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("source", ["https://[bad/x.zip", "https://a..b/x.zip"])
def test_addresses_that_are_none(source: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no address|could not be fetched"):
        downloads.fetch(source, tmp_path, QUICK)


@pytest.fixture
def cache(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, in a working folder."""
    (made := workdir / "cache").mkdir()
    monkeypatch.setattr(downloads, "cache_folder", lambda: made)
    return made


@pytest.mark.usefixtures("cache")
def test_a_pinned_hash_is_checked(server: Server) -> None:
    right = f"{address(server)}#sha256:{sha256(CONTENT).hexdigest()}"
    assert sources.locate(right, None).read_bytes() == CONTENT
    with pytest.raises(InputError, match="does not have this hash; it was removed"):
        sources.locate(f"{address(server)}#sha256:{'0' * 64}", None)
    asked = len(server.temper.seen)
    with pytest.raises(InputError, match="must be a hash such as sha256"):
        sources.locate(f"{address(server)}#readme", None)
    assert len(server.temper.seen) == asked


def test_a_download_that_is_no_archive_is_not_kept(server: Server, cache: Path) -> None:
    server.temper.content = b"<html>please log in</html>"
    with (
        pytest.raises(InputError, match="nor a whole zip or tar archive; this copy was removed"),
        sources.opened(address(server), None),
    ):
        pass
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
