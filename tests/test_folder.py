"""Your own recordings: folders, tables, and the folds made for them."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from stages.core.errors import InputError
from stages.datasets.base import Clip, fold_making
from stages.datasets.folder import Folder


def write_sound(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.sin(np.arange(800)), 8000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("chien/a.wav", "chien/deep/er/b.flac", "Vögel/ç.ogg", "Vögel/d.WAV", "__MACOSX/chien/._a.wav"):
        write_sound((made := tmp_path / "sounds") / name)
    (made / "README.txt").write_text("mine")
    return made


def find(root: Path, folds: int = 2) -> dict[Clip, Path]:
    return Folder(folds=folds).find(root, 0)


def test_a_folder_for_each_class(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {clip.path: clip for clip in find(root)}
    assert {path: clip.label for path, clip in found.items()} == {
        "chien/a.wav": "chien",
        "chien/deep/er/b.flac": "chien",
        "Vögel/ç.ogg": "Vögel",
        "Vögel/d.WAV": "Vögel",
    }
    assert {clip.fold for clip in found.values()} == {1, 2}
    assert (
        "1 files are in no class's folder or no sound by their names, so unused: README.txt" in capsys.readouterr().err
    )


def test_a_table_names_the_clips(root: Path) -> None:
    (root / "mine.csv").write_text("label,path,group,fold\nVögel,Vögel/ç.ogg,x,3\nchien,chien/a.wav,y,1\n", "utf-8")
    expected = {
        Clip("Vögel/ç.ogg", "Vögel", 3, "x"): root / "Vögel/ç.ogg",
        Clip("chien/a.wav", "chien", 1, "y"): root / "chien/a.wav",
    }
    assert find(root) == expected
    assert find(root / "mine.csv") == expected


def test_an_archive_packs_everything_in_one_more_folder(root: Path) -> None:
    assert (root / "README.txt").exists()
    assert {clip.label for clip in find(root.parent)} == {"chien", "Vögel"}


def test_a_table_below_a_path_with_dots(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders on the way to the source may start with a dot, as `..` does and the one that archives are unpacked in."""
    (root / "mine.csv").write_text("label,path\nloud,Vögel/ç.ogg\nquiet,chien/a.wav\n", "utf-8")
    (beside := root.parent / ".hidden").mkdir()
    monkeypatch.chdir(beside)
    assert [clip.label for clip in find(Path("../sounds"))] == ["loud", "quiet"]
    root.rename(beside / "sounds")
    monkeypatch.chdir(root.parent)
    assert [clip.label for clip in find(Path(".hidden"))] == ["loud", "quiet"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path\na.wav\n", "lacks the columns label; found path"),
        ("path,label\na.wav,a\nb.wav,\n", "line 3: label is empty"),
        ("path,label,fold\na.wav,a,0\n", "line 2: fold must be an integer from 1, found '0'"),
        ("path,label,fold\na.wav,a,1.5\n", "found '1.5'"),
        ("path,label\na.wav,dog,x\n", "line 2 has more fields than the table has columns"),
        ("", "lacks the columns path, label; found nothing"),
        ("path,label\n", "holds no clips: neither a CSV file nor folders with sound files"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        find(tmp_path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/etc/passwd", "'/etc/passwd', named by the dataset, leads out of its folder"),
        ("../a.wav", "leads out"),
        ("./a.wav", "'a.wav' stands twice"),
        ("a//../a.wav", "leads out"),
        ("a\\..\\..\\a.wav", "leads out"),
        ("C:a.wav", "leads out"),
    ],
)
def test_paths_that_are_wrong(root: Path, tmp_path: Path, path: str, message: str) -> None:
    write_sound(root / "a.wav")
    (root / "t.csv").write_text(f"path,label,fold\na.wav,a,1\n{path},b,2\n")
    (audio := tmp_path / "audio").mkdir()
    with pytest.raises(InputError, match=message):
        Folder(folds=2).collect(str(root), 0, audio)


def test_names_that_are_no_utf8(root: Path, tmp_path: Path) -> None:
    (root / "chien/a.wav").rename(root / "chien" / os.fsdecode("\N{DOG FACE}".encode() + b"\xe9.wav"))
    with pytest.raises(InputError, match="is no name in UTF-8: rename the file"):
        Folder(folds=2).collect(str(root), 0, tmp_path)


def test_a_table_beside_the_repository_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "t.csv").write_text("path,label\n")
    monkeypatch.chdir(tmp_path / "project")
    with pytest.raises(InputError, match="holds this repository too: give the sounds a folder"):
        Folder(folds=2).collect("../t.csv", 0, tmp_path)
    with pytest.raises(InputError, match="holds this repository too"):
        Folder(folds=2).collect("..", 0, tmp_path)


def test_several_tables(root: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (root / name).write_text("path,label\n")
    with pytest.raises(InputError, match=r"several CSV files \(a.csv, b.csv\): give the path of the one to use"):
        find(root)


def test_too_few_recordings_for_the_folds(root: Path) -> None:
    with pytest.raises(InputError, match=r"4 groups cannot fill datasets\.folder\.folds = 5 folds"):
        find(root, folds=5)


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Groups of 1 to 4 clips of one class each."""
    sizes = draw(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), min_size=5, max_size=40))
    rows = [(f"{g}-{i}.wav", label, f"g{g}") for g, (label, size) in enumerate(sizes) for i in range(size)]
    return pd.DataFrame(rows, columns=["path", "label", "group"])


@given(table=tables(), folds=st.integers(2, 5), seed=st.integers(0, 9))
def test_folds_keep_groups_whole_and_classes_even(table: pd.DataFrame, folds: int, seed: int) -> None:
    made = table.assign(fold=fold_making.make(table, folds, seed))
    assert made.groupby("group").fold.nunique().max() == 1
    assert made.fold.between(1, folds).all()
    for _, clips in made.groupby("label"):
        counts = clips.fold.value_counts().reindex(range(1, folds + 1), fill_value=0)
        assert counts.max() - counts.min() <= clips.groupby("group").size().max()


@given(table=tables(), order=st.randoms(use_true_random=False))
def test_folds_do_not_depend_on_the_order_of_files(table: pd.DataFrame, order: object) -> None:
    table = table.assign(fold=fold_making.make(table, 3, 0))
    positions = list(range(len(table)))
    order.shuffle(positions)  # type: ignore[attr-defined]
    shuffled = table.iloc[positions]
    assert fold_making.make(shuffled, 3, 0) == shuffled.fold.tolist()


@given(count=st.integers(5, 60), folds=st.integers(2, 5))
def test_single_clips_are_dealt_out_evenly(count: int, folds: int) -> None:
    table = pd.DataFrame({"path": [f"{i}" for i in range(count)], "label": ["ab"[i % 2] for i in range(count)]})
    made = table.assign(fold=fold_making.make(table.assign(group=table.path), folds, 0))
    counts = pd.crosstab(made.fold, made.label)
    assert (counts.max() - counts.min()).max() <= 1
    assert made.fold.value_counts().max() - made.fold.value_counts().min() <= 1
