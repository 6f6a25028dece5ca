"""dvc.yaml against the code: what a stage runs is what it declares."""

import ast
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.core import plugins
from tests.conftest import ROOT

PLUGINS = {
    "datasets": "dataset.name",
    "representations": "item.representation",
    "architectures": "item.architecture",
    "attacks": "item.attack",
    "defenses": "harden.method",
}
"""Packages whose files are found by name, and the word in dvc.yaml that names them."""

STAGES: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@cache
def imports(file: Path) -> frozenset[Path]:
    """Files of `stages` that a file imports itself."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "stages":
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {path for name in names if (path := module_file(name))}
    return frozenset(found)


def module_file(name: str) -> Path | None:
    path = ROOT / Path(*name.split("."))
    candidates = [path.with_suffix(".py"), path / "__init__.py"]
    return next((each for each in candidates if each.is_file()), None)


def closure(start: Path) -> set[Path]:
    found, waiting = set(), [start]
    while waiting:
        if (file := waiting.pop()) not in found:
            found.add(file)
            waiting += imports(file)
    return found - {ROOT / "stages/__init__.py"}


def choices(stage: str) -> list[dict[str, str]]:
    """Every combination of plug-in files that the stage may run."""
    text = " ".join(STAGES[stage]["deps"])
    used = {}
    for package, word in PLUGINS.items():
        for spelling in (word, "craft.attack", "attacks.transfer.architecture"):
            if f"stages/{package}/${{{spelling}}}.py" in text:
                used[spelling] = plugins.names(f"stages.{package}")
    return [dict(zip(used, names, strict=True)) for names in product(*used.values())]


def declared(stage: str, choice: dict[str, str]) -> set[Path]:
    deps = STAGES[stage]["deps"]
    for word, name in choice.items():
        deps = [dep.replace(f"${{{word}}}", name) for dep in deps]
    own = [ROOT / dep for dep in deps if dep.startswith("stages/") and "$" not in dep]
    return {file for path in own for file in (path.rglob("*.py") if path.is_dir() else [path]) if file.suffix == ".py"}


def chosen(stage: str, choice: dict[str, str]) -> set[Path]:
    """Plug-in files that a stage may run: those of its choice, and all of a folder that it declares."""
    folders = [ROOT / dep for dep in STAGES[stage]["deps"] if (ROOT / dep).is_dir() and dep.startswith("stages/")]
    files = declared(stage, choice)
    return {path for path in files if path.stem in choice.values() or path.parent in folders}


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_declares_the_code_that_it_runs(stage: str) -> None:
    for choice in choices(stage):
        needed = closure(ROOT / f"stages/{stage}.py").union(*(closure(path) for path in chosen(stage, choice)))
        assert needed - declared(stage, choice) == set(), f"{stage} {choice} runs code that it does not declare"


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_declares_code_that_it_never_runs(stage: str) -> None:
    ran, listed = set(), set()
    for choice in choices(stage):
        ran |= closure(ROOT / f"stages/{stage}.py").union(*(closure(path) for path in chosen(stage, choice)))
        listed |= declared(stage, choice)
    assert listed - ran == set()


def test_the_stages_are_those_of_the_verbs() -> None:
    assert list(STAGES) == ["download", "features", "train", "craft", "harden", "attack", "evaluate", "report"]


def test_editing_one_architecture_touches_no_other_ones_cells() -> None:
    words = {"item.architecture": "resnet18", "attacks.transfer.architecture": "alexnet"}
    for stage in ("train", "craft", "harden", "attack", "evaluate"):
        files = declared(stage, words)
        assert ROOT / "stages/architectures/resnet18.py" in files
        assert ROOT / "stages/architectures/resnet56.py" not in files
