"""The HDF5 stores: read what was written, or say what to run again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.core import files
from stages.core.arrays import Images
from stages.core.errors import InputError
from stages.stores import hdf5, provenance
from stages.stores.features import Features, read_features, write_features
from tests.helpers import ROOT, feature_store

STAGE = "features@stft"
ORIGIN = {"dataset": "synthetic", "representation": "stft", "parameters": "{}", "audio": "{}"}


def written(path: Path, rng: np.random.Generator) -> Features:
    made = feature_store(rng, clips=12)
    columns = {name: getattr(made, name) for name in ("labels", "folds", "clips", "groups")}
    variants = rng.random((12, 2, 32, 32), np.float32)
    attributes = {"classes": list(made.classes), "sample_rate": 8000, "silence": made.silence, **ORIGIN}
    stacks = np.concatenate([made.features, variants], axis=1)
    write_features(path, columns, iter(stacks), (3, 32, 32), attributes)
    return replace(made, variants=variants)


def test_what_is_written_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    made = written(tmp_path / "a.h5", rng)
    read = read_features(tmp_path / "a.h5", STAGE, ORIGIN)
    for name, values in vars(made).items():
        np.testing.assert_array_equal(getattr(read, name), values)


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path / f"{name}.h5", np.random.default_rng(3))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_text_outside_of_ascii(tmp_path: Path) -> None:
    with hdf5.writing(tmp_path / "a.h5", 0, {}) as file:
        hdf5.write_column(file, "clips", np.array(["größe.wav", "雨"]))
    columns, _ = hdf5.read(tmp_path / "a.h5", STAGE, ["clips"], [])
    assert columns["clips"].tolist() == ["größe.wav", "雨"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_store(tmp_path: Path, rng: np.random.Generator, share: float) -> None:
    written(path := tmp_path / "a.h5", rng)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"a\.h5 is (damaged|incomplete).*dvc repro features@stft"):
        read_features(path, STAGE, ORIGIN)


def test_a_flipped_byte(tmp_path: Path, rng: np.random.Generator) -> None:
    made = written(path := tmp_path / "a.h5", rng)
    content = bytearray(path.read_bytes())
    content[content.index(made.features[5].tobytes()[:64]) + 10] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.h5 is damaged.*dvc repro features@stft"):
        read_features(path, STAGE, ORIGIN)


def test_a_store_without_variants(tmp_path: Path, rng: np.random.Generator) -> None:
    made = feature_store(rng, clips=12)
    columns = {name: getattr(made, name) for name in ("labels", "folds", "clips", "groups")}
    attributes = {"classes": list(made.classes), "silence": made.silence, **ORIGIN}
    write_features(tmp_path / "a.h5", columns, iter(made.features), (1, 32, 32), attributes)
    assert read_features(tmp_path / "a.h5", STAGE, ORIGIN).variants.shape == (12, 0, 32, 32)


@pytest.mark.parametrize(("name", "wanted"), [("dataset", "esc10"), ("parameters", '{"rows": 64}')])
def test_a_store_of_something_else(tmp_path: Path, rng: np.random.Generator, name: str, wanted: str) -> None:
    written(path := tmp_path / "a.h5", rng)
    with pytest.raises(InputError) as error:
        read_features(path, STAGE, {**ORIGIN, name: wanted})
    assert f"a.h5 has {name} {ORIGIN[name]!r}, params.yaml asks for {wanted!r}" in str(error.value)
    assert "run `dvc repro features@stft`" in str(error.value)


def test_a_store_that_is_being_written(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "a.h5"
    seen: list[Path] = []

    def images() -> Iterator[Images]:
        for image in feature_store(rng, clips=2).features:
            seen.extend(tmp_path.iterdir())
            with pytest.raises(InputError, match=r"a\.h5 is missing; run `dvc repro features@stft`"):
                read_features(path, STAGE, ORIGIN)
            yield image

    write_features(path, {"clips": np.array(["a", "b"])}, images(), (1, 32, 32), {})
    assert seen
    with pytest.raises(InputError, match=r"a\.h5 is incomplete or not a store of this kind"):
        read_features(path, STAGE, ORIGIN)


FLAT = """
import resource, sys
import numpy as np
from pathlib import Path
from stages.stores.features import write_features

count = int(sys.argv[1])
image = np.random.default_rng(0).random((1, 64, 48), np.float32)
names = np.array([f"clip{number:06d}" for number in range(count)])
numbers = np.zeros(count, np.int64)
columns = {"clips": names, "groups": names, "labels": numbers, "folds": numbers}
write_features(Path("a.h5"), columns, (image for _ in range(count)), (1, 64, 48), {})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_stays_flat_while_a_store_is_written(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    few, many = (
        int(subprocess.check_output([sys.executable, "-c", FLAT, str(count)], cwd=tmp_path, env=environment))
        for count in (100, 10_000)
    )
    assert many - few < 20  # MB, of 120 MB of images


def test_a_missing_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.h5 is missing; run `dvc repro features@stft`"):
        read_features(tmp_path / "a.h5", STAGE, ORIGIN)


def test_a_store_that_fails_midway_leaves_the_old_one(tmp_path: Path, rng: np.random.Generator) -> None:
    written(path := tmp_path / "a.h5", rng)
    before = path.read_bytes()

    def broken() -> object:
        yield np.zeros((1, 32, 32), np.float32)
        raise InputError("clip 2 is not sound")

    with pytest.raises(InputError, match="clip 2"):
        write_features(path, {"clips": np.array(["a", "b"])}, broken(), (1, 32, 32), {})  # type: ignore[arg-type]
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def fill_the_disk(target: Path) -> None:
    with files.replacing(target) as partial:
        partial.write_text("half")
        raise OSError("write failed: No space left on device")


def test_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no space left on the disk while writing .*a\.h5"):
        fill_the_disk(tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_space_is_checked_first(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1000000000000\.0 MB needed"):
        files.require_space(tmp_path, 10**18)


@pytest.mark.parametrize(
    ("found", "wanted", "agree"),
    [
        ('{"steps": 5}', '{"steps": 5}', True),
        ('{"decay": 1}', '{"decay": 1.0}', True),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', True),
        ('{"decay": 1}', '{"decay": 2}', False),
        ("bim", "cw", False),
        (None, "bim", False),
        (0.02, 0.02, True),
    ],
)
def test_numbers_agree_as_dvc_sees_them(found: object, wanted: object, agree: bool) -> None:
    """Else DVC would run nothing again, and the next stage refuse what there is."""
    assert provenance.agree(found, wanted) == agree
