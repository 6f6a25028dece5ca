"""The HDF5 stores: read what was written, or say what to run again."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from stages import files, stores
from stages.console import InputError
from tests.conftest import store

STAGE = "features@stft"


def written(path: Path, rng: np.random.Generator) -> stores.Features:
    made = store(rng, clips=12)
    columns = {name: getattr(made, name) for name in ("labels", "folds", "clips", "groups")}
    attributes = {"classes": list(made.classes), "representation": "stft", "parameters": "{}", "sample_rate": 8000}
    stores.write_features(path, columns, iter(made.features[:, 0]), (32, 32), attributes)
    return made


def test_what_is_written_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    made = written(tmp_path / "a.h5", rng)
    read = stores.read_features(tmp_path / "a.h5", STAGE)
    for name, values in vars(made).items():
        np.testing.assert_array_equal(getattr(read, name), values)


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path / f"{name}.h5", np.random.default_rng(3))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_text_outside_of_ascii(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stores._write_column(file, "clips", np.array(["größe.wav", "雨"]))
        assert stores._column(file["clips"]).tolist() == ["größe.wav", "雨"]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_store(tmp_path: Path, rng: np.random.Generator, share: float) -> None:
    written(path := tmp_path / "a.h5", rng)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=r"a\.h5 is (damaged|incomplete).*dvc repro features@stft"):
        stores.read_features(path, STAGE)


def test_a_flipped_byte(tmp_path: Path, rng: np.random.Generator) -> None:
    made = written(path := tmp_path / "a.h5", rng)
    content = bytearray(path.read_bytes())
    content[content.index(made.features[5].tobytes()[:64]) + 10] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.h5 is damaged.*dvc repro features@stft"):
        stores.read_features(path, STAGE)


def test_a_missing_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.h5 is missing; run `dvc repro features@stft`"):
        stores.read_features(tmp_path / "a.h5", STAGE)


def test_a_store_that_fails_midway_leaves_the_old_one(tmp_path: Path, rng: np.random.Generator) -> None:
    written(path := tmp_path / "a.h5", rng)
    before = path.read_bytes()

    def broken() -> object:
        yield np.zeros((32, 32), np.float32)
        raise InputError("clip 2 is not sound")

    with pytest.raises(InputError, match="clip 2"):
        stores.write_features(path, {"clips": np.array(["a", "b"])}, broken(), (32, 32), {})  # type: ignore[arg-type]
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
