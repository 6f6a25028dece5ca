"""Data sets of files: their layouts, folders and archives of them, what is refused."""

import hashlib
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
import pytest
import soundfile

from stages import datasets, download
from stages.core import paths, plugins
from stages.core.errors import InputError
from stages.datasets.base import Clip, Dataset, downloads, esc50_layout, publications, sources
from stages.datasets.base.publications import Publication
from stages.datasets.base.validation import refuse_few, refuse_split_groups
from stages.datasets.esc10 import ESC10
from stages.datasets.esc50 import ESC50
from stages.datasets.folder import Folder
from stages.datasets.urbansound8k import UrbanSound8K
from tests.params_helpers import set_params

NOTHING_GIVEN = r"dataset\.source: give the path or address of your folder or archive, or put it into data/source"


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


@pytest.fixture
def urbansound8k(tmp_path: Path) -> Path:
    root = tmp_path / "UrbanSound8K"
    rows = [("7-3-0-0.wav", 7, 1, "dog_bark"), ("7-3-0-1.wav", 7, 1, "dog_bark"), ("8-8-0-0.wav", 8, 2, "siren")]
    table = pd.DataFrame(rows, columns=["slice_file_name", "fsID", "fold", "class"])
    for name, _, fold, _ in rows:
        write_sound(root / f"audio/fold{fold}/{name}")
    (root / "metadata").mkdir()
    table.to_csv(root / "metadata/UrbanSound8K.csv", index=False)
    return root


@pytest.fixture
def audio(workdir: Path) -> Path:
    """Where the clips go, in a working folder."""
    (made := workdir / "audio").mkdir()
    return made


@pytest.mark.parametrize("packed", [lambda root: root, zipped, tarred], ids=["folder", "zip", "tar"])
def test_esc10s_own_layout(esc10: Path, packed: object, audio: Path) -> None:
    collected = ESC10().collect(str(packed(esc10)), 0, audio)  # type: ignore[operator]
    assert collected.clips[0] == Clip("dog_bark/1-101-A.wav", "dog_bark", 1, "101")
    assert len(collected.clips) == 4
    assert not collected.rejected
    assert all((audio / clip.path).is_file() for clip in collected.clips)
    assert not (paths.RAW / ".unpacked").exists()


def test_all_of_esc10_in_its_own_layout(tmp_path: Path, audio: Path) -> None:
    """Its names are not those that hashes were published of."""
    first = tmp_path / "ESC-10/001 - Dog bark/1-1-A.wav"
    write_sound(first)
    for number in range(2, 401):
        (first.parent / f"{number % 5 + 1}-{number}-A.wav").hardlink_to(first)
    assert len(ESC10().collect(str(zipped(tmp_path / "ESC-10")), 0, audio).clips) == 400


def test_a_table_of_your_own_in_an_archive(tmp_path: Path, audio: Path) -> None:
    for name in ("part0/a.wav", "part1/b.wav"):
        write_sound(tmp_path / "sounds" / name)
    (tmp_path / "sounds/clips.csv").write_text("path,label,fold\npart0/a.wav,cat,1\npart1/b.wav,dog,2\n", "utf-8")
    collected = Folder(folds=2).collect(str(zipped(tmp_path / "sounds")), 0, audio)
    assert [(clip.label, clip.fold) for clip in collected.clips] == [("cat", 1), ("dog", 2)]


@pytest.mark.parametrize("packed", [lambda root: root.parent, zipped, tarred], ids=["folder", "zip", "tar"])
def test_folders_of_classes_in_a_single_folder(tmp_path: Path, packed: object, audio: Path) -> None:
    sounds = tmp_path / "packed/sounds"
    for name in ("cat/a.wav", "cat/b.wav", "dog/deep/a.wav", "dog/b.wav"):
        write_sound(sounds / name)
    collected = Folder(folds=2).collect(str(packed(sounds)), 0, audio)  # type: ignore[operator]
    assert not collected.rejected
    assert [clip.label for clip in collected.clips] == ["cat", "cat", "dog", "dog"]
    assert all((audio / clip.path).is_file() for clip in collected.clips)


def test_esc50s_layout(esc50: Path, audio: Path) -> None:
    assert ESC10().collect(str(esc50), 0, audio).clips == [Clip("dog/1-1-A-0.wav", "dog", 1, "1")]
    (other := audio.parent / "other").mkdir()
    assert {clip.label for clip in ESC50().collect(str(esc50), 0, other).clips} == {"dog", "hen"}


@pytest.mark.parametrize("packed", [lambda root: root, tarred], ids=["folder", "tar"])
def test_urbansound8ks_layout(urbansound8k: Path, packed: object, audio: Path) -> None:
    clips = UrbanSound8K().collect(str(packed(urbansound8k)), 0, audio).clips  # type: ignore[operator]
    assert clips[1] == Clip("fold1/7-3-0-1.wav", "dog_bark", 1, "7")
    assert len(clips) == 3


def test_files_are_linked_not_copied(urbansound8k: Path, audio: Path) -> None:
    UrbanSound8K().collect(str(urbansound8k), 0, audio)
    assert (audio / "fold1/7-3-0-0.wav").samefile(urbansound8k / "audio/fold1/7-3-0-0.wav")


def test_clips_of_the_table_that_are_missing(esc50: Path, audio: Path) -> None:
    (esc50 / "audio/1-1-A-0.wav").unlink()
    rejected = ESC10().collect(str(esc50), 0, audio).rejected
    assert rejected == {"dog/1-1-A-0.wav": "is named by the dataset but is not there"}


def test_a_clip_that_stands_twice(esc50: Path, audio: Path) -> None:
    table = pd.read_csv(esc50 / "meta/esc50.csv")
    pd.concat([table, table.assign(fold=3)]).to_csv(esc50 / "meta/esc50.csv", index=False)
    with pytest.raises(InputError, match=r"'dog/1-1-A-0\.wav' stands twice"):
        ESC10().collect(str(esc50), 0, audio)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"slice_file_name,fold\n", "lacks the columns fsID, class; found slice_file_name, fold"),
        (b"", "lacks the columns .* found nothing"),
        (b"slice_file_name,fsID,fold,class\na.wav,1,x,dog\n", "line 2: fold must be an integer from 1, found 'x'"),
        (b"slice_file_name,fsID,fold,class\na.wav,1\n", "line 2: fold is empty"),
        (b"slice_file_name,fsID,fold,class\na.wav,1,1,dog,2\n", "line 2 has more fields"),
        (b"slice_file_name,fsID,fold,class\n\xe9.wav,1,1,dog\n", "cannot be read as a table"),
    ],
)
def test_tables_that_are_wrong(urbansound8k: Path, audio: Path, table: bytes, message: str) -> None:
    (urbansound8k / "metadata/UrbanSound8K.csv").write_bytes(table)
    with pytest.raises(InputError, match=message):
        UrbanSound8K().collect(str(urbansound8k), 0, audio)


@pytest.mark.parametrize(
    ("name", "category"), [("../../evil.wav", "dog"), ("1-1-A-0.wav", "/etc"), ("{out}/evil.wav", "dog"), ("x", "..")]
)
def test_tables_that_lead_out_of_the_folder(esc50: Path, audio: Path, name: str, category: str) -> None:
    out = audio.parent / "out"
    out.mkdir()
    (out / "evil.wav").write_text("mine")
    row = ["filename,fold,category,esc10,src_file", f"{name.format(out=out)},1,{category},True,1"]
    (esc50 / "meta/esc50.csv").write_text("\n".join(row) + "\n")
    with pytest.raises(InputError, match="leads out of its folder"):
        ESC50().collect(str(esc50), 0, audio)
    assert (out / "evil.wav").read_text() == "mine"
    assert list(audio.iterdir()) == []


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("name", ["esc10", "esc50", "urbansound8k", "folder"])
def test_sources_that_hold_nothing(tmp_path: Path, name: str) -> None:
    Path("empty").mkdir()
    Path("text.zip").write_text("hello")
    for source, message in [
        ("nowhere", "'nowhere' does not exist"),
        ("empty", "dataset.source: empty (is not|holds no clips)"),
        ("text.zip", "is neither a folder, a CSV file nor a whole zip or tar archive"),
    ]:
        with pytest.raises(InputError, match=message):
            datasets.load(name).collect(source, 0, tmp_path)


def test_a_folder_must_be_named(audio: Path) -> None:
    with pytest.raises(InputError, match=NOTHING_GIVEN):
        Folder(folds=2).collect("", 0, audio)


@pytest.fixture
def default_source(workdir: Path) -> Path:
    """The folder for recordings as it comes: with a note, and what systems leave behind."""
    set_params(workdir, {"dataset.source": str(paths.SOURCE)})
    paths.SOURCE.mkdir(parents=True)
    for name in ("README.md", ".gitignore", ".DS_Store"):
        (paths.SOURCE / name).write_text("Put your recordings here.")
    return paths.SOURCE


def test_the_default_folder_gives_itself_once_it_holds_a_recording(default_source: Path) -> None:
    assert sources.given("data/source") == sources.given("./data/source/") == ""
    write_sound(default_source / "dog.wav")
    assert sources.given("data/source") == "data/source"
    assert sources.given("./data/source/") == "./data/source/"


def test_a_lone_folder_or_archive_in_the_default_folder_is_the_source(default_source: Path) -> None:
    write_sound(default_source / "mine/dog/a.wav")
    assert sources.given("data/source") == "data/source/mine"
    shutil.make_archive("data/packed", "zip", "data/source/mine")
    shutil.rmtree(default_source / "mine")
    Path("data/packed.zip").rename(default_source / "packed.zip")
    assert sources.given("data/source") == "data/source/packed.zip"


@pytest.mark.usefixtures("workdir")
def test_a_default_folder_that_is_not_there_gives_nothing() -> None:
    assert sources.given("data/source") == ""


@pytest.mark.parametrize("source", ["", "sounds", "data", "data/source.zip", "https://example.org/a.zip"])
@pytest.mark.usefixtures("default_source")
def test_any_other_source_gives_itself(source: str) -> None:
    assert sources.given(source) == source


def test_recordings_in_the_default_folder_are_read(workdir: Path, default_source: Path) -> None:
    for name in ("cat/a.wav", "cat/b.wav", "dog/a.wav", "dog/b.wav"):
        write_sound(default_source / name)
    set_params(workdir, {"dataset.name": "folder", "datasets.folder.folds": 2})
    download.main()
    assert pd.read_csv(paths.CLIPS).label.tolist() == ["cat", "cat", "dog", "dog"]


@pytest.mark.usefixtures("default_source")
def test_where_no_recordings_are_given_it_says_what_to_do(workdir: Path) -> None:
    set_params(workdir, {"dataset.name": "folder"})
    with pytest.raises(InputError, match=NOTHING_GIVEN):
        download.main()
    assert list(paths.RAW.iterdir()) == []


def test_recordings_given_for_generated_sounds_are_refused(workdir: Path, default_source: Path) -> None:
    write_sound(default_source / "dog/a.wav")
    set_params(workdir, {"dataset.name": "synthetic"})
    message = (
        "dataset.source is 'data/source/dog', but the dataset `synthetic` is generated and takes no dataset.source: "
    )
    with pytest.raises(InputError, match=message + "set it to data/source and leave nothing but README.md there"):
        download.main()
    assert list(paths.RAW.iterdir()) == []


@pytest.mark.usefixtures("workdir")
def test_a_table_for_a_source_draws_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    """DVC sees the file that it is told of, and no sound beside it."""
    write_sound(Path("sounds/a.wav"))
    (table := Path("sounds/clips.csv")).write_text("path,label\na.wav,dog\n", "utf-8")
    assert sources.locate(str(table), None) == table
    assert "DVC watches sounds/clips.csv alone; name its folder to have changes" in capsys.readouterr().err
    sources.locate("sounds", None)
    assert not capsys.readouterr().err


def test_an_empty_source_is_the_published_archive(esc10: Path, audio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(address: str, _folder: Path) -> Path:
        asked.append(address)
        return zipped(esc10)

    monkeypatch.setattr(downloads, "fetch", fetch)
    monkeypatch.setattr(publications, "matches", lambda *_: True)
    assert len(ESC10().collect("", 0, audio).clips) == 4
    assert asked == [esc50_layout.PUBLICATION.address]


class TestVerification:
    """A small set published with its hash and manifest."""

    @pytest.fixture
    def published(self, esc50: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publication:
        monkeypatch.setattr(publications, "MANIFESTS", tmp_path)
        names = sorted((esc50 / "audio").iterdir())
        rows = [(path.name, pooch.file_hash(str(path), alg="md5")) for path in [*names, esc50 / "meta/esc50.csv"]]
        pd.DataFrame(rows, columns=["name", "md5"]).to_csv(tmp_path / "small.csv", index=False)
        digest = hashlib.sha256(zipped(esc50).read_bytes()).hexdigest()
        made = Publication("Small", "https://example.org/small.zip", f"sha256:{digest}", "", "", "small")
        monkeypatch.setattr(ESC50, "publication", made)
        monkeypatch.setattr(ESC50, "clips", 2)
        return made

    @pytest.mark.usefixtures("published")
    def test_the_published_archive_needs_no_word(
        self, esc50: Path, audio: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ESC50().collect(str(esc50.with_suffix(".zip")), 0, audio)
        assert "published" not in capsys.readouterr().err

    @pytest.mark.usefixtures("published")
    def test_packed_anew_with_the_same_files(
        self, esc50: Path, audio: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert len(ESC50().collect(str(tarred(esc50)), 0, audio).clips) == 2
        assert "of the 3 published files 3 are in it unchanged; 0 others" in capsys.readouterr().err

    @pytest.mark.usefixtures("published")
    def test_one_file_that_differs_is_named(self, esc50: Path, audio: Path) -> None:
        write_sound(esc50 / "audio/2-2-A-1.wav", seconds=0.3)
        with pytest.raises(InputError, match=r"2-2-A-1\.wav is not the file that was published"):
            ESC50().collect(str(tarred(esc50)), 0, audio)

    @pytest.mark.usefixtures("published")
    def test_a_table_that_differs_is_named(self, esc50: Path, audio: Path) -> None:
        table = pd.read_csv(esc50 / "meta/esc50.csv")
        table.assign(fold=3).to_csv(esc50 / "meta/esc50.csv", index=False)
        with pytest.raises(InputError, match=r"esc50\.csv is not the file that was published"):
            ESC50().collect(str(tarred(esc50)), 0, audio)

    @pytest.mark.usefixtures("published")
    def test_a_changed_part_is_taken_as_what_it_is(
        self, esc50: Path, audio: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_sound(esc50 / "audio/2-2-A-1.wav", seconds=0.3)
        table = pd.read_csv(esc50 / "meta/esc50.csv")
        table[table.category == "hen"].to_csv(esc50 / "meta/esc50.csv", index=False)
        assert len(ESC50().collect(str(tarred(esc50)), 0, audio).clips) == 1
        assert "of the 3 published files 0 are in it unchanged; 2 others" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "clips"), [("esc50", 2000), ("urbansound8k", 8732)])
def test_manifests_are_whole(name: str, clips: int) -> None:
    table = pd.read_csv(publications.MANIFESTS / f"{name}.csv")
    assert len(table[table.name.str.endswith(".wav")]) == clips
    assert table.name.is_unique
    assert table.md5.str.fullmatch("[0-9a-f]{32}").all()


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([Clip("a.wav", "a", 1, "g"), Clip("b.wav", "a", 2, "h")], "at least 2 classes, found a"),
        ([Clip("a.wav", "a", 1, "g"), Clip("b.wav", "b", 1, "h")], "at least 2 folds, found 1"),
    ],
)
def test_too_little_to_learn_from(clips: list[Clip], message: str) -> None:
    with pytest.raises(InputError, match=message):
        refuse_few(clips)


def test_groups_never_cross_folds() -> None:
    clips = [Clip("a.wav", "a", 1, "g"), Clip("b.wav", "a", 2, "g")]
    with pytest.raises(InputError, match=r"group 'g' stands in folds \[1, 2\]"):
        refuse_split_groups(clips)


def choose(workdir: Path, name: str, source: Path, on_error: str = "error", most: float = 0.05) -> None:
    settings = {"name": name, "source": str(source), "on_error": on_error, "max_rejected_fraction": most}
    set_params(workdir, {f"dataset.{key}": value for key, value in settings.items()})


def test_download_writes_a_sorted_table(workdir: Path, esc10: Path) -> None:
    choose(workdir, "esc10", esc10)
    download.main()
    table = pd.read_csv(paths.CLIPS, dtype={"group": str})
    assert list(table.columns) == ["path", "label", "fold", "group", "duration"]
    assert list(table.path) == sorted(table.path)
    assert table.duration.tolist() == [0.2] * 4
    assert all((paths.RAW / path).is_file() for path in table.path)
    assert paths.REJECTED.read_text() == "path,reason\n"


def write_bad_clips(dogs: Path) -> dict[str, str]:
    """One bad clip of each kind, and what is said about it."""
    (dogs / "3-300-A.wav").write_text("this is not sound")
    (dogs / "3-301-A.wav").write_bytes(b"")
    soundfile.write(dogs / "3-302-A.wav", np.zeros(0), 8000)
    soundfile.write(dogs / "3-303-A.wav", np.array([0.0, np.nan]), 8000, subtype="FLOAT")
    soundfile.write(dogs / "3-304-A.wav", np.array([0.0, np.inf]), 8000, subtype="FLOAT")
    soundless = bytearray((dogs / "3-302-A.wav").read_bytes())
    soundless[22:24] = (0).to_bytes(2, "little")
    (dogs / "3-305-A.wav").write_bytes(soundless)
    unreadable, infinite = "cannot be read as sound", "holds samples that are not finite numbers"
    return {
        "3-300-A.wav": unreadable,
        "3-301-A.wav": unreadable,
        "3-302-A.wav": "holds no sound: 0 frames",
        "3-303-A.wav": infinite,
        "3-304-A.wav": infinite,
        "3-305-A.wav": unreadable,
    }


def test_bad_clips_are_named_and_nothing_is_left_behind(workdir: Path, esc10: Path) -> None:
    bad = write_bad_clips(esc10 / "001 - Dog bark")
    choose(workdir, "esc10", esc10)
    with pytest.raises(InputError, match="6 of 10 clips cannot be used, 0 may be left out") as raised:
        download.main()
    for name, reason in bad.items():
        assert f"dog_bark/{name}: {reason}" in str(raised.value)
    assert not paths.CLIPS.exists()
    assert list(paths.RAW.iterdir()) == []
    assert len(list((esc10 / "001 - Dog bark").iterdir())) == 8


def test_where_no_clip_can_be_used_it_says_why(workdir: Path, esc50: Path) -> None:
    choose(workdir, "esc50", esc50)
    for sound in (esc50 / "audio").iterdir():
        sound.unlink()
    with pytest.raises(
        InputError, match=r"2 of 2 clips cannot be used, .*\n.*: is named by the dataset but is not there"
    ):
        download.main()


def test_bad_clips_may_be_left_out(workdir: Path, esc10: Path) -> None:
    bad = write_bad_clips(esc10 / "001 - Dog bark")
    choose(workdir, "esc10", esc10, "skip", 0.6)
    download.main()
    rejected = pd.read_csv(paths.REJECTED)
    assert rejected.path.tolist() == [f"dog_bark/{name}" for name in bad]
    assert len(pd.read_csv(paths.CLIPS)) == 4
    assert sum(path.is_file() for path in paths.AUDIO.rglob("*")) == 4


def test_no_more_are_left_out_than_allowed(workdir: Path, esc10: Path) -> None:
    write_bad_clips(esc10 / "001 - Dog bark")
    choose(workdir, "esc10", esc10, "skip", 0.5)
    message = r"6 of 10 clips cannot be used, 5 may be left out .*max_rejected_fraction: 0\.5"
    with pytest.raises(InputError, match=message):
        download.main()


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("name", plugins.names("stages.datasets"))
def test_every_dataset_loads_with_its_parameters(name: str) -> None:
    assert isinstance(datasets.load(name), Dataset)
    assert datasets.load(name).terms


@pytest.mark.usefixtures("workdir")
def test_the_terms_name_licence_and_source() -> None:
    assert "CC BY-NC 3.0" in datasets.load("esc50").terms
    assert "Salamon" in datasets.load("urbansound8k").terms
