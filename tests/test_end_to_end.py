"""The pipeline through DVC, small: what runs, what is reused, what is written."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from ruamel.yaml import YAML

from stages.datasets.base import sources
from tests.conftest import ROOT

SMALL = {
    "grid.representation": "[stft]",
    "grid.architecture": "[resnet18]",
    "grid.attack": "[bim]",
    "datasets.synthetic.clips_per_class": "10",
    "features.augment.variants": "1",
    "representations.stft.rows": "32",
    "representations.stft.frames": "32",
    "train.epochs": "3",
    "harden.learning.epochs": "1",
    "attacks.bim.steps": "3",
    "attack.tuning_clips": "4",
    "attack.doublings": "0",
}
CELL = "stft/resnet18/fold5"


def run(project: Path, *words: str) -> str:
    done = subprocess.run(words, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def override(values: dict[str, str]) -> list[str]:
    return [word for key, value in values.items() for word in ("-S", f"{key}={value}")]


def ran(output: str) -> set[str]:
    lines = [line for line in output.splitlines() if line.startswith("Running stage")]
    return {line.split("'")[1] for line in lines}


def repository(folder: Path) -> Path:
    """A copy of this repository in a folder, of its own history and cache."""
    for name in ("stages", ".dvc"):
        ignored = shutil.ignore_patterns("cache", "tmp", "__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("params.yaml", "dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "data").mkdir()
    for name in ("source", sources.NOTHING):
        shutil.copy(ROOT / "data" / name, folder / "data" / name, follow_symlinks=False)
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "config", "user.email", "tests@example.invalid")
    run(folder, "git", "config", "user.name", "tests")
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "-m", "start")
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which the small pipeline has run."""
    folder = repository(tmp_path_factory.mktemp("project"))
    assert len(ran(run(folder, "dvc", "exp", "run", *override(SMALL)))) == 10
    return folder


def test_the_artifacts_are_there(project: Path) -> None:
    for name in (
        "data/raw/clips.csv",
        "data/features/stft.h5",
        f"models/{CELL}/baseline.safetensors",
        f"models/{CELL}/hardened.safetensors",
        f"data/adversarial/{CELL}/training.h5",
        f"data/adversarial/{CELL}/hardened/bim.h5",
        f"metrics/{CELL}/hardened.json",
        "metrics/summary.json",
        "metrics/comparison.json",
        "metrics/report.html",
    ):
        assert (project / name).stat().st_size > 0
    metrics = json.loads((project / f"metrics/{CELL}/hardened.json").read_text(encoding="utf-8"))
    assert set(metrics) == {
        "clean",
        "adaptive",
        "transferred",
        "transfer",
        "untargeted",
        "sound",
        "checks",
        "check_figures",
    }
    assert set(metrics["adaptive"]) == {"bim", "worst_linf", "worst_l2"}


def test_nothing_is_run_twice(project: Path) -> None:
    assert "up to date" in run(project, "dvc", "repro")


def test_another_budget_reruns_attacks_alone(project: Path) -> None:
    stages = {name.split("@")[0] for name in ran(run(project, "dvc", "exp", "run", "-S", "attack.eps=1e-5"))}
    assert stages == {"attack", "evaluate", "report"}
    run(project, "dvc", "exp", "run", "-S", "attack.eps=0.02")


def test_a_wider_grid_keeps_the_cells_that_there_are(project: Path) -> None:
    file = project / "params.yaml"
    before = file.read_text(encoding="utf-8")
    document = YAML().load(before)
    document["grid"]["architecture"].append("alexnet")
    YAML().dump(document, file)
    status = [line for line in run(project, "dvc", "status").splitlines() if line.endswith(":")]
    file.write_text(before, encoding="utf-8")
    assert any(line.startswith("train@stft-alexnet-5") for line in status)
    assert {line.split("@")[0] for line in status if "resnet18" in line} == {"evaluate"}, "it replays the new examples"


def test_compute_reruns_nothing(project: Path) -> None:
    file = project / "params.yaml"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("workers: 0", "workers: 1"), encoding="utf-8")
    assert "up to date" in run(project, "dvc", "status")
    file.write_text(before, encoding="utf-8")


def test_baseline_and_hardened_are_two_views(project: Path) -> None:
    for model in ("baseline", "hardened"):
        assert ran(run(project, "dvc", "exp", "run", "-n", model, "-S", f"report.model={model}")) <= {"report"}
    words = ["dvc", "metrics", "diff", "baseline", "hardened", "--targets", "metrics/summary.json", "--all", "--json"]
    found = json.loads(run(project, *words))["metrics/summary.json"]
    rows = set(found) if isinstance(found, dict) else set()
    assert any("clean" in row and "accuracy" in row for row in rows), rows
    assert any("bim" in row and "fooling_rate" in row for row in rows), rows


def test_editing_an_architecture_reruns_its_cells_alone(project: Path) -> None:
    file = project / "stages/architectures/resnet56.py"
    file.write_text(file.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    assert "up to date" in run(project, "dvc", "status")
    file = project / "stages/architectures/resnet18.py"
    before = file.read_text(encoding="utf-8")
    file.write_text(before + "# edited\n", encoding="utf-8")
    changed = {
        line.rstrip(":") for line in run(project, "dvc", "status").splitlines() if line.endswith(":") and "@" in line
    }
    assert {name.strip().split("@")[0] for name in changed} >= {"train", "craft", "harden", "attack", "evaluate"}
    assert not any("features" in name for name in changed)
    file.write_text(before, encoding="utf-8")


def test_features_are_the_same_bytes_when_made_again(project: Path) -> None:
    store = project / "data/features/stft.h5"
    before = store.read_bytes()
    run(project, "python", "-m", "stages.features", "stft")
    assert store.read_bytes() == before


def without_seconds(found: object) -> object:
    if isinstance(found, dict):
        return {key: without_seconds(value) for key, value in found.items() if key != "seconds"}
    return found


def test_everything_is_the_same_when_made_again(project: Path) -> None:
    files = ["models/{}/baseline.safetensors", "models/{}/hardened.safetensors", "metrics/{}/hardened.json"]
    kept = [project / name.format(CELL) for name in files]
    before = [file.read_bytes() for file in kept]
    stages = ["train", "craft", "harden", "attack@stft-resnet18-5-hardened-bim", "evaluate@stft-resnet18-5-hardened"]
    run(project, "dvc", "repro", "--force", "--single-item", *stages)
    after = [file.read_bytes() for file in kept]
    assert after[:2] == before[:2]
    assert without_seconds(json.loads(after[2])) == without_seconds(json.loads(before[2]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stages.train", "stft", "resnet56", "9"], "error: grid.fold: 9 is not a fold of the dataset"),
        (["stages.attack", "stft", "resnet18", "5", "baseline", "nothing"], "error: unknown name 'nothing' among"),
        (
            ["stages.train", "mfcc", "resnet18", "5"],
            "error: params.yaml: representations.mfcc: missing key; the keys here are: cwt, cwt_tonnetz, dwt",
        ),
    ],
)
def test_bad_words_are_one_clear_error(project: Path, words: list[str], message: str) -> None:
    done = subprocess.run(["python", "-m", *words], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of four clips of two classes."""
    mine = tmp_path / "mine"
    for index in range(4):
        (mine / "ab"[index % 2]).mkdir(parents=True, exist_ok=True)
        soundfile.write(mine / "ab"[index % 2] / f"{index}.wav", np.sin(np.arange(800) * (index + 1)), 8000)
    return mine


def test_experiments_in_a_row_leave_the_source_as_it_is(tmp_path: Path, mine: Path) -> None:
    """DVC puts tracked files back before each: it must not write one through the link to the source."""
    project = repository(tmp_path / "project")
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", mine))
    whole = archive.read_bytes()
    for source, seed in ((mine, 1), (archive, 2), (archive, 3)):
        settings = {"dataset.name": "folder", "dataset.source": str(source), "datasets.folder.folds": "2"}
        run(project, "dvc", "exp", "run", *override({**settings, "seed": str(seed)}), "download")
        assert archive.read_bytes() == whole
        assert sum(path.is_file() for path in mine.rglob("*")) == 4
        assert run(project, "git", "stash", "list") == ""


def test_a_change_of_the_source_is_noticed(tmp_path: Path, mine: Path) -> None:
    project = repository(tmp_path / "project")
    settings = {"dataset.name": "folder", "dataset.source": str(mine), "datasets.folder.folds": "2"}
    run(project, "dvc", "exp", "run", *override(settings), "download")
    assert "up to date" in run(project, "dvc", "status", "download")
    shutil.copy(mine / "a/0.wav", mine / "a/new.wav")
    assert ran(run(project, "dvc", "repro", "download")) == {"download"}
    assert "audio/a/new.wav" in (project / "data/raw/clips.csv").read_text(encoding="utf-8")
    linked = project / "data/raw/audio/a/0.wav"
    assert linked.stat().st_nlink > 1
    assert not linked.samefile(mine / "a/0.wav")
