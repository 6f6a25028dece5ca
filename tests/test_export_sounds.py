"""Adversarial sounds as WAV files: a folder or a zip for other tools, which `sound_files` takes back."""

import io
import json
import runpy
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from stages.attacks.sound_files import read_table
from stages.audio import decoding
from stages.audio.decoding import AudioParams
from stages.core import paths
from stages.core.arrays import Floats
from stages.core.errors import InputError
from stages.inference import wavs
from stages.stores.adversarial import Adversarial, write_adversarial
from stages.stores.perturbations import NORMS

RATE, SAMPLES = 8000, 800
SOUND = AudioParams(sample_rate=RATE, duration=SAMPLES / RATE)
CLIPS = ["audio/dog/1-100032-A-0.wav", "audio/rain/größe, 2.ogg", "audio/dog/3.wav", "audio/dog/4.wav"]
CLASSES = ["dog", "rain", "sneeze"]


def sounds(fooled: tuple[bool, ...] = (True, True, False, True)) -> Adversarial:
    """A store of noise at both ends of 16 bits; the attack changed each fooled clip by a hundredth."""
    rng, success = np.random.default_rng(0), np.array(fooled)
    clean = rng.integers(-(2**15), 2**15, (len(CLIPS), SAMPLES)).astype(np.int16)
    clean[:, :2] = -(2**15), 2**15 - 1
    adversarial = np.where(success[:, None], clean - clean // 100, clean)
    sizes = {"snr": 0.01, "peak": 0.02, "masking": 1.5}
    return Adversarial(
        clip=np.array(CLIPS),
        label=np.array([0, 1, 0, 0]),
        target=np.array([1, 2, 2, 2]),
        eligible=np.ones(len(CLIPS), bool),
        success=success,
        cost=np.where(success, sizes["peak"], np.inf).astype(np.float32),
        sizes={norm: np.where(success, size, 0).astype(np.float32) for norm, size in sizes.items()},
        queries=np.ones(len(CLIPS), np.int64),
        clean=clean,
        adversarial=adversarial,
        attributes={"domain": "sound", "sample_rate": RATE, "attack": "sound_linf", "classes": json.dumps(CLASSES)},
    )


def images() -> Adversarial:
    grey = np.full((1, 1, 4, 4), 0.5, np.float32)
    one: dict[str, Any] = {name: np.ones(1, np.int64) for name in ("label", "target", "queries")}
    one |= {"eligible": np.ones(1, bool), "success": np.ones(1, bool), "cost": np.ones(1, np.float32)}
    sizes: dict[str, Floats] = {norm: np.ones(1, np.float32) for norm in NORMS["image"]}
    clip = np.array(["a.wav"])
    return Adversarial(**one, clip=clip, sizes=sizes, clean=grey, adversarial=grey, attributes={"domain": "image"})


def export(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["export", *map(str, words)])
    monkeypatch.delitem(sys.modules, "stages.export", raising=False)
    with pytest.raises(SystemExit) as left:
        runpy.run_module("stages.export", run_name="__main__", alter_sys=True)
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_adversarial(tmp_path / "sound_linf.h5", sounds())
    return tmp_path / "sound_linf.h5"


def test_the_stored_samples_are_in_the_files(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, made = store.parent / "sounds", sounds()
    assert export(monkeypatch, store, "--to", folder) == 0
    assert capsys.readouterr().out == f"{folder}: 3 sounds\n"
    table = pd.read_csv(folder / "table.csv")
    assert table.columns.tolist() == ["clip", "file", "clean", "label", "target", "snr"]
    assert len([*folder.rglob("*.wav")]) == 6
    for row, found in zip(np.flatnonzero(made.success), table.itertuples(), strict=True):
        assert found.clip == CLIPS[row]
        for file, expected in ((found.file, made.adversarial[row]), (found.clean, made.clean[row])):
            info = soundfile.info(folder / str(file))
            assert (info.format, info.subtype, info.samplerate, info.channels) == ("WAV", "PCM_16", RATE, 1)
            np.testing.assert_array_equal(soundfile.read(folder / str(file), dtype="int16")[0], expected)


def test_the_table_tells_classes_and_decibels(tmp_path: Path) -> None:
    wavs.write_sounds(sounds(), tmp_path / "sounds")
    lines = (tmp_path / "sounds/table.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1:3] == [
        "audio/dog/1-100032-A-0.wav,adversarial/audio-dog-1-100032-A-0.wav,clean/audio-dog-1-100032-A-0.wav,"
        "dog,rain,40.00",
        '"audio/rain/größe, 2.ogg","adversarial/audio-rain-größe, 2.wav","clean/audio-rain-größe, 2.wav",'
        "rain,sneeze,40.00",
    ]


@pytest.fixture(autouse=True)
def _clips(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clips that the tables name."""
    raw = tmp_path_factory.mktemp("raw")
    monkeypatch.setattr(paths, "RAW", raw)
    for clip in CLIPS:
        (raw / clip).parent.mkdir(parents=True, exist_ok=True)
        (raw / clip).touch()


def test_sound_files_takes_the_folder(tmp_path: Path) -> None:
    made = sounds()
    wavs.write_sounds(made, tmp_path / "sounds")
    table = read_table(tmp_path / "sounds/table.csv")
    assert [*table] == [CLIPS[row] for row in np.flatnonzero(made.success)]
    for row, file in zip(np.flatnonzero(made.success), table.values(), strict=True):
        np.testing.assert_array_equal(decoding.load(file, SOUND) * 2**15, made.adversarial[row])


def test_a_zip_holds_what_the_folder_does(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.parent / "sounds"
    for target in (folder, store.parent / "a.zip", store.parent / "b.ZIP", store.parent / "a.zip"):
        assert export(monkeypatch, store, "--to", target) == 0
    assert (store.parent / "a.zip").read_bytes() == (store.parent / "b.ZIP").read_bytes()
    with zipfile.ZipFile(store.parent / "a.zip") as archive:
        assert archive.testzip() is None
        found = {name: archive.read(name) for name in archive.namelist()}
    assert found == {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}
    content = io.BytesIO(found["adversarial/audio-dog-4.wav"])
    np.testing.assert_array_equal(soundfile.read(content, dtype="int16")[0], sounds().adversarial[3])


@pytest.mark.parametrize("name", ["sounds", "sounds.zip"])
def test_where_nothing_fools_the_table_is_empty(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_adversarial(tmp_path / "a.h5", sounds((False,) * 4))
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stdout", printed)
    assert export(monkeypatch, "a.h5", "--to", name) == 0
    assert printed.getvalue() == f"{name}: 0 sounds\n"
    if name == "sounds":
        assert [*Path(name).iterdir()] == [Path(name, "table.csv")]
        assert read_table(Path(name, "table.csv")) == {}


def test_names_are_flat_and_unique_whatever_the_disk() -> None:
    clips = ["audio/a-b/1.wav", "audio/a/b-1.wav", "audio/a/b-1.ogg", "AUDIO/A/B-1.wav", "audio/a-b/1-2.wav", "/c.wav"]
    names = wavs.file_names(np.array(clips))
    assert names[:2] == ["audio-a-b-1.wav", "audio-a-b-1-2.wav"]
    assert len({name.casefold() for name in names}) == len(clips)
    assert not [name for name in names if "/" in name]


def test_a_clip_has_one_name_whatever_else_was_fooled(tmp_path: Path) -> None:
    wavs.write_sounds(sounds(), tmp_path / "all")
    wavs.write_sounds(sounds((False, False, False, True)), tmp_path / "one")
    all_files, one_file = (read_table(tmp_path / name / "table.csv") for name in ("all", "one"))
    assert one_file[CLIPS[3]].name == all_files[CLIPS[3]].name


def test_images_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_adversarial(tmp_path / "bim.h5", images())
    assert export(monkeypatch, tmp_path / "bim.h5", "--to", tmp_path / "sounds") == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path / 'bim.h5'} holds images; only attacks on sound, whose names begin with sound_, "
        "can be exported as WAV files\n"
    )
    assert not (tmp_path / "sounds").exists()


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.h5 is missing; run `dvc repro attack`"):
        wavs.read_sounds(tmp_path / "a.h5")


def test_nothing_of_the_users_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full.zip").mkdir()
    for path in (tmp_path / "full/mine.txt", tmp_path / "mine.txt"):
        path.touch()
    for name in ("full", "full.zip", "mine.txt"):
        with pytest.raises(InputError, match=rf"{name} is there already; give a new or empty folder"):
            wavs.write_sounds(sounds(), tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "full.zip", "mine.txt", "mine.txt"]


def test_an_empty_folder_is_filled_even_from_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    wavs.write_sounds(sounds(), Path("empty"))
    assert len(read_table(tmp_path / "empty/table.csv")) == 3
    Path("inside").mkdir()
    monkeypatch.chdir("inside")
    wavs.write_sounds(sounds(), Path())
    assert len(read_table(tmp_path / "inside/table.csv")) == 3


@pytest.mark.parametrize("name", ["sounds", "sounds.zip"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bytes:
        raise OSError("write failed: No space left on device")

    monkeypatch.setattr(wavs, "_wav", full)
    with pytest.raises(InputError, match=rf"no space left on the disk while writing .*{name}"):
        wavs.write_sounds(sounds(), tmp_path / name)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.h5"], "an adversarial store, a .h5 file, needs --to"),
        (["a.h5", "--onnx"], "an adversarial store, a .h5 file, needs --to"),
        (["a.h5", "--onnx", "--to", "b"], "argument --to: not allowed with argument --onnx"),
        (["a.safetensors", "--to", "b"], "nothing else takes it"),
    ],
)
def test_words_that_do_not_go_together(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(monkeypatch, *words) == 2
    assert message in capsys.readouterr().err
