"""Recordings of one's own through DVC: what is watched, and what is left as it is."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.project import override, ran, repository, run

pytestmark = [pytest.mark.dvc, pytest.mark.slow]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of four clips of two classes."""
    mine = tmp_path / "mine"
    for index in range(4):
        (mine / "ab"[index % 2]).mkdir(parents=True, exist_ok=True)
        soundfile.write(mine / "ab"[index % 2] / f"{index}.wav", np.sin(np.arange(800) * (index + 1)), 8000)
    return mine


def test_experiments_in_a_row_leave_the_source_as_it_is(tmp_path: Path, mine: Path) -> None:
    """A folder, then an archive, elsewhere on the disk: neither is written to, and no tracked file but params.yaml."""
    project = repository(tmp_path / "project")
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", mine))
    whole = archive.read_bytes()
    for source, seed in ((mine, 1), (archive, 2), (archive, 3)):
        settings = {"dataset.name": "folder", "dataset.source": str(source), "datasets.folder.folds": "2"}
        run(project, "dvc", "exp", "run", *override({**settings, "seed": str(seed)}), "download")
        assert archive.read_bytes() == whole
        assert sum(path.is_file() for path in mine.rglob("*")) == 4
        assert run(project, "git", "stash", "list") == ""
        assert run(project, "git", "diff", "--name-only").split() in (["params.yaml"], ["dvc.lock", "params.yaml"])


def test_a_change_of_the_source_is_noticed(tmp_path: Path, mine: Path) -> None:
    project = repository(tmp_path / "project")
    settings = {"dataset.name": "folder", "dataset.source": "../mine", "datasets.folder.folds": "2"}
    run(project, "dvc", "exp", "run", *override(settings), "download")
    assert "up to date" in run(project, "dvc", "status", "download")
    shutil.copy(mine / "a/0.wav", mine / "a/new.wav")
    assert ran(run(project, "dvc", "repro", "download")) == {"download"}
    assert "audio/a/new.wav" in (project / "data/raw/clips.csv").read_text(encoding="utf-8")
    linked = project / "data/raw/audio/a/0.wav"
    assert linked.stat().st_nlink > 1
    assert not linked.samefile(mine / "a/0.wav")


def test_recordings_may_lie_in_the_projects_own_folder(tmp_path: Path, mine: Path) -> None:
    project = repository(tmp_path / "project")
    for name in ("a", "b"):
        shutil.copytree(mine / name, project / "data/source" / name)
    settings = {"dataset.name": "folder", "datasets.folder.folds": "2"}
    run(project, "dvc", "exp", "run", *override(settings), "download")
    assert len((project / "data/raw/clips.csv").read_text(encoding="utf-8").splitlines()) == 5
    assert "data/source" not in run(project, "git", "status", "--porcelain", "--untracked-files=all")
