"""What `dvc plots show` draws: each table that the default run left has columns of the kind that its template wants."""

import json
from typing import Any

import pandas as pd
import pytest
from pandas.api.types import is_numeric_dtype
from ruamel.yaml import YAML

from tests.conftest import ROOT

DVC: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
CELL = {"representation": "dwt_tonnetz", "architecture": "resnet56", "fold": "5"}

NUMERIC = {
    "linear": ("x", "y"),
    "bar_horizontal": ("x",),
    "confusion": (),
    "by_class": ("y",),
    "class_targets": (),
}
"""Axes of each template that are of numbers; the other ones are of names."""


def tables() -> dict[str, dict[str, Any]]:
    """Settings of every plot of a table, for both models of the default cell, by its path."""
    found = {}
    for stage in DVC["stages"].values():
        for plot in stage.get("plots", []):
            for path, settings in plot.items() if isinstance(plot, dict) else ():
                for victim in ("baseline", "hardened"):
                    if path.endswith(".csv"):
                        found[filled(path, victim)] = settings
    return found


def overlays() -> list[tuple[str, str, str]]:
    """File, x and column of every line of the plots that lie across files, for the default cell."""
    grid = {"representation": CELL["representation"], "architecture": CELL["architecture"], "fold": CELL["fold"]}
    found = []
    for plot in DVC["plots"]:
        for settings in plot.values():
            for path, columns in settings["y"].items():
                file = path
                for name, value in grid.items():
                    file = file.replace(f"${{grid.{name}[0]}}", value)
                names = [columns] if isinstance(columns, str) else columns
                found += [(file, settings["x"], column) for column in names]
    return found


@pytest.mark.parametrize(("path", "x", "column"), overlays())
def test_plots_across_files_have_their_columns(path: str, x: str, column: str) -> None:
    table = pd.read_csv(ROOT / path)
    assert is_numeric_dtype(table[x])
    assert is_numeric_dtype(table[column])


def filled(path: str, victim: str) -> str:
    for name, value in {**CELL, "victim": victim}.items():
        path = path.replace(f"${{item.{name}}}", value)
    return path


@pytest.mark.parametrize("path", tables())
def test_a_plot_has_columns_that_its_template_draws(path: str) -> None:
    settings, table = tables()[path], pd.read_csv(ROOT / path)
    numeric = NUMERIC[settings.get("template", "linear")]
    for axis in ("x", "y"):
        assert is_numeric_dtype(table[settings[axis]]) == (axis in numeric), f"{axis} of {path}"


def test_own_templates_draw_fields_that_exist() -> None:
    for file in (ROOT / ".dvc/plots").glob("*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        encoding = content.get("spec", content)["encoding"]
        assert encoding["x"]["field"] == "<DVC_METRIC_X>", file
        used = [settings for settings in tables().items() if settings[1].get("template") == file.stem]
        assert used, f"{file} is used by no plot"
        own = {part["field"] for part in encoding.values() if isinstance(part, dict) and "<" not in part["field"]}
        assert all(own <= set(pd.read_csv(ROOT / path).columns) for path, _ in used), f"{file}: {own}"
