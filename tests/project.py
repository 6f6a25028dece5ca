"""A copy of this repository with a history and a cache of its own, in which DVC runs.

`python -m tests.project` runs the whole pipeline in one, on a grid of one small cell, and then finds nothing to do.
"""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML

from tests.helpers import ROOT

SMALL = {
    "seed": "0",
    "grid.representation": "[stft]",
    "grid.architecture": "[resnet18]",
    "grid.fold": "[5]",
    "grid.attack": "[bim,sound_ddn]",
    "dataset.name": "synthetic",
    "dataset.source": "data/source",
    "dataset.validation_share": "0.15",
    "audio.duration": "2.0",
    "datasets.synthetic.clips_per_class": "10",
    "features.augment.copies": "1",
    "representations.stft.rows": "32",
    "representations.stft.frames": "32",
    "train.epochs": "3",
    "train.baselines": "[masks,plain]",
    "craft.attack": "bim",
    "harden.method": "pgd",
    "harden.start": "baseline",
    "harden.train.epochs": "1",
    "attack.eps": "0.02",
    "attacks.bim.steps": "3",
    "attacks.sound_ddn.steps": "4",
    "attack.tuning_clips": "4",
    "attack.max_levels": "0",
    "report.model": "hardened",
    "report.require_checks": "false",
    "compute.workers": "0",
}
"""Parameters of a pipeline that runs in about a minute and a half, whatever the checkout's params.yaml has become."""

CELL = "stft/resnet18/fold5"
"""Its one cell."""


def run(project: Path, *words: str, **environment: str) -> str:
    """Run a command, which must succeed; return what it prints."""
    done = _run(project, words, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def fails(project: Path, *words: str) -> str:
    """Run a command, which must fail with status 1; return its errors."""
    done = _run(project, words, {})
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def _run(project: Path, words: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=project, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def override(values: dict[str, str]) -> list[str]:
    """The words of `dvc exp run` that set parameters."""
    return [word for key, value in values.items() for word in ("-S", f"{key}={value}")]


def ran(output: str) -> set[str]:
    """The stages that DVC says to have run."""
    lines = [line for line in output.splitlines() if line.startswith("Running stage")]
    return {line.split("'")[1] for line in lines}


def changed(status: str) -> set[str]:
    """The stages that `dvc status` lists."""
    return {line.rstrip(":") for line in status.splitlines() if line.endswith(":") and not line.startswith((" ", "\t"))}


def lock(project: Path) -> dict[str, Any]:
    """What DVC knows of each stage: command, deps, params and outs."""
    stages: dict[str, Any] = YAML(typ="safe").load((project / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return stages


def commit(project: Path) -> None:
    """Commit all that git may see."""
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "-m", "as it is")


def repository(folder: Path) -> Path:
    """Copy this repository into a folder."""
    for name in ("stages", ".dvc"):
        ignored = shutil.ignore_patterns("cache", "tmp", "__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("params.yaml", "dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "data/source").mkdir(parents=True)
    shutil.copy(ROOT / "data/source/README.md", folder / "data/source")
    run(folder, "git", "init", "--quiet")
    run(folder, "git", "config", "user.email", "tests@example.invalid")
    run(folder, "git", "config", "user.name", "tests")
    commit(folder)
    return folder


def main() -> None:
    """Run the small pipeline, and nothing again."""
    with TemporaryDirectory() as folder:
        project = repository(Path(folder))
        subprocess.run(["dvc", "exp", "run", *override(SMALL)], cwd=project, check=True)
        assert "up to date" in (again := run(project, "dvc", "repro")), again


if __name__ == "__main__":
    main()
