"""ESC-10 from folders and archives; what is refused."""

import tarfile
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from stages import archives, datasets, download, paths, plugins
from stages.console import InputError
from stages.datasets import Clip
from stages.datasets.esc10 import ESC10


def write_sound(path: Path, seconds: float = 0.2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.sin(np.arange(round(8000 * seconds))), 8000)


@pytest.fixture
def esc10(tmp_path: Path) -> Path:
    root = tmp_path / "ESC-10"
    for fold in (1, 2):
        write_sound(root / "001 - Dog bark" / f"{fold}-10{fold}-A.wav")
        write_sound(root / "002 - Rain" / f"{fold}-20{fold}-A.wav")
    (root / "README.txt").write_text("not a clip")
    return root


@pytest.fixture
def esc50(tmp_path: Path) -> Path:
    root = tmp_path / "ESC-50"
    rows = [("1-1-A-0.wav", 1, 0, "dog", True, 1, "A"), ("2-2-A-1.wav", 2, 1, "hen", False, 2, "A")]
    table = pd.DataFrame(rows, columns=["filename", "fold", "target", "category", "esc10", "src_file", "take"])
    for name in table.filename:
        write_sound(root / "audio" / name)
    (root / "meta").mkdir()
    table.to_csv(root / "meta/esc50.csv", index=False)
    return root


def zipped(root: Path) -> Path:
    archive = root.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(root.rglob("*")):
            file.write(path, path.relative_to(root.parent))
    return archive


def tarred(root: Path) -> Path:
    archive = root.with_suffix(".tar.gz")
    with tarfile.open(archive, "w:gz") as file:
        file.add(root, root.name)
    return archive


@pytest.mark.parametrize("packed", [lambda root: root, zipped, tarred], ids=["folder", "zip", "tar"])
def test_esc10s_own_layout(esc10: Path, packed: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = packed(esc10)  # type: ignore[operator]
    (audio := tmp_path / "audio").mkdir()
    clips = ESC10().collect(str(source), 0, audio)
    assert clips[0] == Clip("dog_bark/1-101-A.wav", "dog_bark", 1, "101")
    assert len(clips) == 4
    assert all((audio / clip.path).is_file() for clip in clips)
    assert list(tmp_path.glob(".unpacked-*")) == []


def test_esc50s_layout(esc50: Path, tmp_path: Path) -> None:
    (audio := tmp_path / "audio").mkdir()
    assert ESC10().collect(str(esc50), 0, audio) == [Clip("dog/1-1-A-0.wav", "dog", 1, "1")]


def test_a_clip_of_the_table_that_is_missing(esc50: Path, tmp_path: Path) -> None:
    (esc50 / "audio/1-1-A-0.wav").unlink()
    (audio := tmp_path / "audio").mkdir()
    with pytest.raises(InputError, match=r"1-1-A-0\.wav is named by meta/esc50\.csv but is not there"):
        ESC10().collect(str(esc50), 0, audio)


@pytest.mark.parametrize(
    ("source", "message"),
    [("", "dataset.source is empty"), ("nowhere", "'nowhere' does not exist"), ("empty", "'empty' is not ESC-10")],
)
def test_sources_that_hold_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    with pytest.raises(InputError, match=message):
        ESC10().collect(source, 0, tmp_path)


def test_a_source_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "esc.zip").write_text("hello")
    with pytest.raises(InputError, match="neither a folder nor a zip or tar archive"):
        ESC10().collect(str(tmp_path / "esc.zip"), 0, tmp_path)


@pytest.mark.parametrize("name", ["../evil.wav", "/evil.wav", "a/../../evil.wav"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_that_reach_outside(tmp_path: Path, name: str, kind: str) -> None:
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as zip_file:
            zip_file.writestr(name, "x")
    else:
        with tarfile.open(archive, "w") as tar_file:
            member = tarfile.TarInfo(name)
            member.size = 1
            tar_file.addfile(member, BytesIO(b"x"))
    with pytest.raises(InputError, match="outside of its folder"):
        archives.extract(archive, tmp_path / "out")
    assert not list(tmp_path.rglob("evil.wav"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_archives_with_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = kind, "/etc/passwd"
        file.addfile(member)
    with pytest.raises(InputError, match="'link' is a link or device"):
        archives.extract(tmp_path / "a.tar", tmp_path / "out")


def test_groups_never_cross_folds() -> None:
    clips = [Clip("a.wav", "a", 1, "g"), Clip("b.wav", "a", 2, "g")]
    with pytest.raises(InputError, match=r"group 'g' stands in folds \[1, 2\]"):
        download.refuse_split_groups(clips)


def set_source(folder: Path, name: str, source: Path) -> None:
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("name: synthetic", f"name: {name}").replace('source: ""', f"source: {source}")
    (folder / "params.yaml").write_text(text, encoding="utf-8")


def test_download_writes_a_sorted_table(folder: Path, esc10: Path) -> None:
    set_source(folder, "esc10", esc10)
    download.main()
    table = pd.read_csv(paths.CLIPS, dtype={"group": str})
    assert list(table.columns) == ["path", "label", "fold", "group", "duration"]
    assert list(table.path) == sorted(table.path)
    assert table.duration.tolist() == [0.2] * 4
    assert all((paths.RAW / path).is_file() for path in table.path)


def test_text_named_wav_leaves_nothing_behind(folder: Path, esc10: Path) -> None:
    (esc10 / "001 - Dog bark/3-300-A.wav").write_text("this is not sound")
    set_source(folder, "esc10", esc10)
    with pytest.raises(InputError, match=r"3-300-A\.wav cannot be read as sound"):
        download.main()
    assert not paths.CLIPS.exists()
    assert list(paths.RAW.iterdir()) == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("name", plugins.names("stages.datasets"))
def test_every_dataset_loads_with_its_parameters(name: str) -> None:
    assert isinstance(datasets.load(name), datasets.Dataset)
