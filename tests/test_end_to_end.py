"""The pipeline through DVC, small: what runs, what is reused, what is read and written."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.api.types import is_numeric_dtype
from ruamel.yaml import YAML

from stages.core.paths import CellPaths
from stages.stores.adversarial import read_adversarial
from tests.helpers import ROOT
from tests.params_helpers import set_params
from tests.project import CELL, SMALL, changed, commit, fails, lock, override, ran, repository, run

pytestmark = [pytest.mark.dvc, pytest.mark.slow]

STAGES = (
    "download",
    "features@stft",
    "train@stft-resnet18-5",
    "craft@stft-resnet18-5",
    "harden@stft-resnet18-5",
    "attack@stft-resnet18-5-bim",
    "attack@stft-resnet18-5-sound_ddn",
    "evaluate@stft-resnet18-5-hardened",
    "report",
)
"""One of each kind."""

METRICS = ("clean", "adaptive", "untargeted", "checks")
DETAILS = ("adaptive", "untargeted", "rendered", "channels", "check_figures")
"""What there is of either model, and what of it lies in the details."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which the small pipeline has run, committed."""
    folder = repository(tmp_path_factory.mktemp("project"))
    assert len(ran(run(folder, "dvc", "exp", "run", *override(SMALL)))) == 10
    commit(folder)
    return folder


@pytest.fixture(scope="module")
def again(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By stage: the keys and files that it reads when it is run once more, and what it writes that differs."""
    notes, file = tmp_path_factory.mktemp("reads"), project / "params.yaml"
    before = file.read_text(encoding="utf-8")
    # What a worker process opens is not seen.
    set_params(project, {"compute.workers": 1})
    found = {name: rerun(project, lock(project)[name], notes / f"{name}.json") for name in STAGES}
    file.write_text(before, encoding="utf-8")
    return found


def rerun(project: Path, stage: dict[str, Any], notes: Path) -> dict[str, Any]:
    before = dict(content(project, stage))
    words = stage["cmd"] if isinstance(stage["cmd"], str) else stage["cmd"][-1]
    program, _, *rest = words.split()
    assert program == "python"
    run(project, sys.executable, str(ROOT / "tests/reads.py"), str(notes), *rest, PYTHONPATH=str(project))
    after = dict(content(project, stage))
    different = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    read: dict[str, Any] = json.loads(notes.read_text(encoding="utf-8"))
    return read | {"different": different}


def content(project: Path, stage: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    for out in stage["outs"]:
        path = project / out["path"]
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                yield file.relative_to(project).as_posix(), file.read_bytes()


def test_metrics_say_what_they_must(project: Path) -> None:
    for model in ("baseline", "hardened"):
        metrics = json.loads((project / f"metrics/{CELL}/{model}.json").read_text(encoding="utf-8"))
        own = {"transferred"} if model == "hardened" else set()
        details = json.loads((project / f"metrics/{CELL}/{model}.details.json").read_text(encoding="utf-8"))
        assert metrics.keys() == {*METRICS} | own
        assert {*DETAILS} <= details.keys() <= {*DETAILS} | own
        assert metrics["adaptive"].keys() == {"bim", "sound_ddn", "worst_linf", "worst_l2", "worst_l1", "worst_snr"}
        assert metrics["untargeted"].keys() == {"image", "sound"}
        assert metrics["clean"]["clips"] == 20
    summary = json.loads((project / "metrics/summary.json").read_text(encoding="utf-8"))
    assert summary["stft"]["resnet18"]["clean"] == metrics["clean"]
    assert "<html" in (project / "metrics/report.html").read_text(encoding="utf-8")


def test_the_transfer_between_the_models_is_told(project: Path) -> None:
    table = pd.read_csv(project / "metrics/curves/transfer.csv")
    pairs = {("resnet18_baseline", "resnet18_hardened"), ("resnet18_hardened", "resnet18_baseline")}
    assert set(zip(table.source, table.model, strict=True)) == pairs


def test_nothing_is_run_twice(project: Path) -> None:
    assert "up to date" in run(project, "dvc", "repro")


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_writes_the_same_bytes_again(again: dict[str, dict[str, Any]], name: str) -> None:
    assert again[name]["different"] == []


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_tracks_the_parameters_that_it_reads(
    project: Path, again: dict[str, dict[str, Any]], name: str
) -> None:
    tracked = lock(project)[name]["params"]["params.yaml"]
    # A change of `compute` must invalidate nothing; `dataset` is validated whole, and tracked key by key.
    free = {"compute", "dataset"} if name == "download" else {"compute"}
    read = set(again[name]["keys"]) - free
    assert {key for key in read if not any(key == each or key.startswith(f"{each}.") for each in tracked)} == set()


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_the_files_that_it_reads(project: Path, again: dict[str, dict[str, Any]], name: str) -> None:
    stage, read = lock(project)[name], [Path(file) for file in again[name]["files"]]
    deps = {Path(dep["path"]) for dep in stage["deps"] if not dep["path"].startswith("stages/")}
    outs = {Path(out["path"]) for out in stage["outs"]}
    assert [file for file in read if not {file, *file.parents} & (deps | outs)] == []
    # What the user gave is not opened where it is nothing, and attacks on images do without the sounds.
    free = {Path("data/source")} | ({Path("data/raw/audio")} if name.endswith("bim") else set())
    needless = [dep for dep in deps - free if not any(dep in {file, *file.parents} for file in read)]
    assert needless == []


def test_another_budget_reruns_attacks_alone_and_going_back_reruns_nothing(project: Path) -> None:
    """One attack really runs again; what else would is told by a dry run, as all of it takes a minute and a half."""
    again = ran(run(project, "dvc", "exp", "run", "-S", "attack.eps=1e-5", "attack@stft-resnet18-5-bim"))
    assert again == {"attack@stft-resnet18-5-bim"}
    stages = {name.split("@")[0] for name in again | ran(run(project, "dvc", "repro", "--dry"))}
    assert stages == {"attack", "evaluate", "report"}
    run(project, "git", "checkout", "--quiet", ".")
    run(project, "dvc", "checkout")
    back = run(project, "dvc", "repro")
    assert "up to date" in back
    assert ran(back) == set()
    assert run(project, "git", "status", "--porcelain") == ""


def test_a_wider_grid_keeps_the_cells_that_there_are(project: Path) -> None:
    file = project / "params.yaml"
    before = file.read_text(encoding="utf-8")
    set_params(project, {"grid.architecture": ["resnet18", "alexnet"]})
    status = changed(run(project, "dvc", "status"))
    file.write_text(before, encoding="utf-8")
    assert "train@stft-alexnet-5" in status
    assert [name for name in status if "resnet18" in name] == []
    assert "report" in status


def test_compute_reruns_nothing(project: Path) -> None:
    file = project / "params.yaml"
    before = file.read_text(encoding="utf-8")
    set_params(project, {"compute.workers": 1})
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
    run(project, "git", "checkout", "--quiet", ".")
    run(project, "dvc", "checkout")


def test_editing_an_architecture_reruns_its_cells_alone(project: Path) -> None:
    file = project / "stages/architectures/resnet56.py"
    file.write_text(file.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    assert changed(run(project, "dvc", "status")) == {"report"}, "it may load any model"
    file = project / "stages/architectures/resnet18.py"
    before = file.read_text(encoding="utf-8")
    file.write_text(before + "# edited\n", encoding="utf-8")
    names = {name.split("@")[0] for name in changed(run(project, "dvc", "status"))}
    run(project, "git", "checkout", "--quiet", "stages")
    assert names >= {"train", "craft", "harden", "attack", "evaluate"}
    assert "features" not in names


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stages.train", "stft", "resnet56", "9"], "error: grid.fold: 9 is not a fold of the dataset"),
        (["stages.attack", "stft", "resnet18", "5", "nothing"], "error: unknown name 'nothing' among"),
        (
            ["stages.train", "mfcc", "resnet18", "5"],
            "error: params.yaml: representations.mfcc: missing key; the keys here are: cwt, cwt_tonnetz, dwt",
        ),
    ],
)
def test_bad_words_are_one_clear_error(project: Path, words: list[str], message: str) -> None:
    errors = fails(project, "python", "-m", *words)
    assert errors.startswith(message)
    assert "Traceback" not in errors


def test_what_each_wrong_class_costs(project: Path) -> None:
    """On request, by the attack as it was run: the class that was drawn costs what the store says."""
    words = ["stft", "resnet18", "5", "baseline", "bim"]
    told = run(project, "python", "-m", "stages.compare_targets", *words)
    assert re.search(r"easiest class: [\d.]+ % \[.*\] of \d+ clips within 0\.02 \(linf\)", told)
    table = pd.read_csv(project / f"data/targets/{CELL}/baseline/bim.csv")
    with chdir(project):
        store = read_adversarial(CellPaths("stft", "resnet18", 5).attack("baseline", "bim"), "attack")
    drawn = pd.DataFrame(
        {"clip": store.clip, "target": np.array(json.loads(store.attributes["classes"]))[store.target]}
    )
    costs = drawn[store.eligible].merge(table, on=["clip", "target"], validate="1:1")["cost"]
    np.testing.assert_allclose(costs, np.where(store.success, store.cost, np.inf)[store.eligible], rtol=0.3)
    assert "up to date" in run(project, "dvc", "status")


PLOTS: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))

NUMERIC = {
    "linear": ("x", "y"),
    "bar_horizontal": ("x",),
    "confusion": (),
    "by_class": ("y",),
    "class_targets": (),
}
"""Axes of each template that are of numbers; the other ones are of names."""


def filled(path: str, model: str) -> str:
    representation, architecture, fold = CELL.split("/")
    values = {"representation": representation, "architecture": architecture, "fold": fold.removeprefix("fold")}
    for name, value in {**values, "model": model}.items():
        path = path.replace(f"${{item.{name}}}", value).replace(f"${{grid.{name}[0]}}", value)
    return path


def plots_of_stages() -> dict[str, dict[str, Any]]:
    """Settings of every plot of a table, for both models, by its path."""
    return {
        filled(path, model): settings
        for stage in PLOTS["stages"].values()
        for plot in stage.get("plots", [])
        for path, settings in (plot.items() if isinstance(plot, dict) else ())
        for model in ("baseline", "hardened")
        if path.endswith(".csv")
    }


def plots_across_files() -> list[tuple[str, str, str, str]]:
    """File, template, x and column of every line of the plots that lie across files."""
    return [
        (filled(path, ""), settings.get("template", "linear"), settings["x"], column)
        for plot in PLOTS["plots"]
        for settings in plot.values()
        for path, columns in settings["y"].items()
        for column in ([columns] if isinstance(columns, str) else columns)
    ]


@pytest.mark.parametrize(("path", "template", "x", "column"), plots_across_files())
def test_plots_across_files_have_their_columns(project: Path, path: str, template: str, x: str, column: str) -> None:
    table = pd.read_csv(project / path)
    assert is_numeric_dtype(table[x]) == ("x" in NUMERIC[template])
    assert is_numeric_dtype(table[column]) == ("y" in NUMERIC[template])


@pytest.mark.parametrize("path", plots_of_stages())
def test_a_plot_has_columns_that_its_template_draws(project: Path, path: str) -> None:
    settings, table = plots_of_stages()[path], pd.read_csv(project / path)
    numeric = NUMERIC[settings.get("template", "linear")]
    for axis in ("x", "y"):
        assert is_numeric_dtype(table[settings[axis]]) == (axis in numeric), f"{axis} of {path}"


def test_own_templates_draw_fields_that_exist(project: Path) -> None:
    for file in (ROOT / ".dvc/plots").glob("*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        encoding = content.get("spec", content)["encoding"]
        assert encoding["x"]["field"] == "<DVC_METRIC_X>", file
        used = [path for path, settings in plots_of_stages().items() if settings.get("template") == file.stem]
        assert used, f"{file} is used by no plot"
        own = {part["field"] for part in encoding.values() if isinstance(part, dict) and "<" not in part["field"]}
        assert all(own <= set(pd.read_csv(project / path).columns) for path in used), f"{file}: {own}"


def test_plots_are_drawn(project: Path) -> None:
    page = run(project, "dvc", "plots", "show", "--out", "drawn")
    assert "index.html" in page
    shutil.rmtree(project / "drawn")
