"""dvc.yaml against the code: what a stage runs, reads and is told is what it declares."""

import ast
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.core import plugins
from tests.helpers import ROOT

PLUGINS = {
    "datasets": ("dataset.name",),
    "representations": ("item.representation",),
    "architectures": ("item.architecture",),
    "attacks": ("item.attack", "craft.attack"),
    "defenses": ("harden.method",),
}
"""Folders of plug-ins, and the words in dvc.yaml that name one of them."""

STAGES: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def imports(file: Path) -> frozenset[Path]:
    """Files of `stages` that a file imports, and the packages that Python runs on the way."""
    found: set[Path] = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "stages":
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "stages"]
        else:
            continue
        for name in names:
            parts = name.split(".")
            prefixes = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
            found |= {path for prefix in prefixes if (path := module_file(prefix))}
    return frozenset(found)


def module_file(name: str) -> Path | None:
    path = ROOT / Path(*name.split("."))
    candidates = [path.with_suffix(".py"), path / "__init__.py"]
    return next((each for each in candidates if each.is_file()), None)


def closure(start: Path) -> set[Path]:
    """Files that run when one is run, but for the doors: what they hold is checked below."""
    found, waiting = set(), [start]
    while waiting:
        if (file := waiting.pop()) not in found:
            found.add(file)
            waiting += imports(file)
    return found - doors()


@cache
def doors() -> frozenset[Path]:
    """The `__init__.py` of `stages` and of each folder of plug-ins."""
    return frozenset({ROOT / "stages/__init__.py", *(ROOT / f"stages/{kind}/__init__.py" for kind in PLUGINS)})


def choices(stage: str) -> Iterator[dict[str, str]]:
    """Every combination of plug-ins that the stage may run; the training set is crafted of images alone."""
    text = " ".join(STAGES[stage]["deps"])
    used = {
        word: [name for name in plugins.names(f"stages.{kind}") if word != "craft.attack" or "sound" not in name]
        for kind, words in PLUGINS.items()
        for word in words
        if f"stages/{kind}/${{{word}}}.py" in text
    }
    return (dict(zip(used, names, strict=True)) for names in product(*used.values()))


def declared(stage: str, choice: dict[str, str]) -> dict[str, set[Path]]:
    """Files of each dependency on code."""
    found = {}
    for template in STAGES[stage]["deps"]:
        dep = template
        for word, name in choice.items():
            dep = dep.replace(f"${{{word}}}", name)
        path = ROOT / dep
        if dep.startswith("stages/"):
            found[dep] = {*path.rglob("*.py")} if path.is_dir() else {path}
    return found


def running(stage: str, choice: dict[str, str]) -> set[Path]:
    """Files that the stage may run: its own, its plug-ins, and all plug-ins of a folder that it declares whole."""
    started = {ROOT / f"stages/{stage}.py"}
    for dep, files in declared(stage, choice).items():
        kind = dep.split("/")[1]
        if kind in PLUGINS and "base" not in dep and "manifests" not in dep:
            started |= {file for file in files if file.parent == ROOT / "stages" / kind} - doors()
    return set().union(*(closure(file) for file in started))


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_declares_the_code_that_it_runs(stage: str) -> None:
    for choice in choices(stage):
        listed = set().union(*declared(stage, choice).values())
        assert running(stage, choice) - listed == set(), f"{stage} {choice} runs code that it does not declare"


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_declares_a_folder_that_it_never_runs(stage: str) -> None:
    for choice in choices(stage):
        ran = running(stage, choice)
        idle = [dep for dep, files in declared(stage, choice).items() if not files & ran and "manifests" not in dep]
        assert idle == [], f"{stage} {choice}"


def test_every_file_runs_in_some_stage() -> None:
    tools = [closure(ROOT / f"stages/{name}.py") for name in ("check", "predict", "export", "compare_targets")]
    ran: set[Path] = {*set.union(*tools), *doors()}
    for stage in STAGES:
        for choice in choices(stage):
            ran |= running(stage, choice)
    assert {*(ROOT / "stages").rglob("*.py")} - ran == set()


@pytest.mark.parametrize("door", sorted(doors()), ids=lambda door: door.parent.name)
def test_a_door_only_opens_its_base(door: Path) -> None:
    """So it is no dependency: an edit cannot change what a stage does."""
    for node in tree(door).body:
        if isinstance(node, ast.ImportFrom):
            assert node.module == f"stages.{door.parent.name}.base"
        else:
            assert isinstance(node, ast.Expr | ast.Assign)
            if isinstance(node, ast.Assign):
                assert ast.unparse(node.targets[0]) == "__all__"


def test_the_stages_are_those_of_the_verbs() -> None:
    assert list(STAGES) == ["download", "features", "train", "craft", "harden", "attack", "evaluate", "report"]


def test_the_code_keeps_its_bounds() -> None:
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 250
    assert len([*(ROOT / "stages").glob("*.py")]) <= 13
    for stage in STAGES:
        assert len((ROOT / f"stages/{stage}.py").read_text(encoding="utf-8").splitlines()) <= 50, stage


def test_editing_one_architecture_touches_no_other_ones_cells() -> None:
    for stage in ("train", "craft", "harden", "attack", "evaluate"):
        choice = next(iter(choices(stage))) | {"item.architecture": "resnet18"}
        files = set().union(*declared(stage, choice).values())
        assert ROOT / "stages/architectures/resnet18.py" in files
        assert ROOT / "stages/architectures/resnet56.py" not in files


def test_attacking_depends_on_no_training() -> None:
    for stage in ("craft", "attack"):
        for choice in choices(stage):
            ran = {file.relative_to(ROOT / "stages").parts[0] for file in running(stage, choice)}
            assert not ran & {"training", "defenses", "evaluation", "reporting"}
