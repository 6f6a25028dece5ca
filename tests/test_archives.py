"""Archives made to do harm, and archives that are damaged."""

import stat
import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from stages.core.errors import InputError
from stages.datasets.base import archives


def zipped(path: Path, files: dict[str, bytes], mode: int = 0o644 | stat.S_IFREG) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr, member.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return path


def tarred(path: Path, files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(content), kind, "/etc/passwd" if kind != b"0" else ""
            archive.addfile(member, BytesIO(content))
    return path


PACKERS = [zipped, tarred]


@pytest.mark.parametrize("pack", PACKERS)
def test_files_come_out_as_they_were(tmp_path: Path, pack: object) -> None:
    files = {"a/one.wav": b"1" * 1000, "ünïcode/zwei.wav": b"2"}
    archives.extract(pack(tmp_path / "a.bin", files), tmp_path / "out")  # type: ignore[operator]
    found = {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in tmp_path.rglob("*.wav")}
    assert found == files


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("name", ["../evil.wav", "/evil.wav", "a/../../evil.wav", "..\\evil.wav", "C:\\evil.wav"])
def test_nothing_is_written_outside(tmp_path: Path, pack: object, name: str) -> None:
    archive = pack(tmp_path / "a.bin", {name: b"x"})  # type: ignore[operator]
    with pytest.raises(InputError, match="outside of its folder"):
        archives.extract(archive, tmp_path / "deep/er/out")
    assert not list(tmp_path.rglob("evil.wav"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_tar_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    archive = tarred(tmp_path / "a.tar.gz", {"link": b""}, kind)
    with pytest.raises(InputError, match="'link' is a link or device"):
        archives.extract(archive, tmp_path / "out")


def test_zip_links(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"link": b"/etc/passwd"}, 0o777 | stat.S_IFLNK)
    with pytest.raises(InputError, match="'link' is a link or device"):
        archives.extract(archive, tmp_path / "out")


@pytest.mark.parametrize("pack", PACKERS)
def test_bombs(tmp_path: Path, pack: object) -> None:
    archive = pack(tmp_path / "a.bin", {f"{i}.wav": bytes(50 * 10**6) for i in range(4)})  # type: ignore[operator]
    with pytest.raises(InputError, match="unpacks to more than"):
        archives.extract(archive, tmp_path / "out")


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        archives.extract(zipped(tmp_path / "a.zip", {f"{i}": b"" for i in range(4)}), tmp_path / "out")


def test_a_name_that_stands_twice(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("same.wav"), BytesIO(b""))
    with pytest.raises(InputError, match=r"'same\.wav' stands in it twice"):
        archives.extract(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("keep", [0.5, 0.9])
@pytest.mark.parametrize("pack", PACKERS)
def test_archives_that_are_cut_off(tmp_path: Path, pack: object, keep: float) -> None:
    content = {f"{i}.wav": bytes((i * j) % 251 for j in range(20_000)) for i in range(5)}
    whole = pack(tmp_path / "a.bin", content).read_bytes()  # type: ignore[operator]
    (cut := tmp_path / "cut.bin").write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(InputError, match="is damaged"):
        archives.extract(cut, tmp_path / "out")


@pytest.mark.parametrize("size", [5, 20, 50])
def test_stubs_are_no_archives(tmp_path: Path, size: int) -> None:
    whole = tarred(tmp_path / "a.tar.gz", {"a.wav": b"1" * 1000}).read_bytes()
    (tmp_path / "stub.tar.gz").write_bytes(whole[:size])
    assert not archives.is_archive(tmp_path / "stub.tar.gz")


def test_a_flipped_byte(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"a.wav": bytes(range(256)) * 100})
    content = bytearray(archive.read_bytes())
    content[100] ^= 255
    archive.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        archives.extract(archive, tmp_path / "out")
