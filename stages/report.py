"""Stage `report`: one summary of the grid, the comparison of both models, and a page for people."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import jinja2
import pandas as pd

from stages import console, figures, files, params, paths
from stages.console import InputError
from stages.grid import GridParams
from stages.params import Parameters
from stages.paths import Cell

MODELS = ("baseline", "hardened")
TEMPLATE = Path(__file__).with_name("report.html.jinja")

Metrics = dict[str, Any]


class ReportParams(Parameters):
    """Whose metrics metrics/summary.json holds."""

    model: Literal["baseline", "hardened"]


def main() -> None:
    """Write metrics/summary.json, metrics/comparison.json and metrics/report.html."""
    grid: GridParams = params.read("grid", GridParams)
    settings: ReportParams = params.read("report", ReportParams)
    eps: float = params.read("attack.eps", params.Number)
    means = {model: tree(grid, lambda cells, model=model: mean_over_folds(cells, model)) for model in MODELS}
    comparison = tree(grid, lambda cells: compare(*(mean_over_folds(cells, model) for model in MODELS)))
    write_json(paths.SUMMARY, means[settings.model])
    write_json(paths.COMPARISON, comparison)
    page = render(grid, means, comparison, eps)
    with files.replacing(paths.REPORT) as partial:
        partial.write_text(page, encoding="utf-8")
    console.say(f"{paths.REPORT}: {len(page) / 1e6:.1f} MB")


def tree(grid: GridParams, of: Any) -> dict[str, dict[str, Metrics]]:
    """`{representation: {architecture: of(cells of all folds)}}`."""
    found: dict[str, dict[str, Metrics]] = {name: {} for name in grid.representation}
    for representation, architecture in grid.pairs():
        found[representation][architecture] = of(grid.cells(representation, architecture))
    return found


def mean_over_folds(cells: list[Cell], model: str) -> Metrics:
    """Mean of each number over the folds; a number that some fold lacks is left out."""
    return mean([read_json(cell.metrics(model)) for cell in cells])


def mean(trees: list[Metrics]) -> Metrics:
    """Mean of each leaf over nested mappings, of the leaves that all have."""
    common = [key for key in trees[0] if all(key in each for each in trees)]
    return {key: _mean([each[key] for each in trees]) for key in common}


def _mean(values: list[Any]) -> Any:
    return mean(values) if isinstance(values[0], dict) else sum(values) / len(values)


def compare(baseline: Metrics, hardened: Metrics) -> Metrics:
    """What hardening cost and gained: differences of rates, ratios of prices (hardened over baseline)."""
    found: Metrics = {"accuracy_drop": baseline["clean"]["accuracy"] - hardened["clean"]["accuracy"]}
    for attack, before in baseline["adaptive"].items():
        after = hardened["adaptive"].get(attack, {})
        found[attack] = {}
        if "fooling_rate" in before and "fooling_rate" in after:
            found[attack]["fooling_drop"] = before["fooling_rate"] - after["fooling_rate"]
        for ratio, price in (("cost_ratio", "cost_median"), ("eps90_ratio", "eps90")):
            if before.get(price) and price in after:
                found[attack][ratio] = after[price] / before[price]
    return found


def render(grid: GridParams, means: dict[str, Any], comparison: dict[str, Any], eps: float) -> str:
    """The page, self-contained."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    sections = [
        {
            "representation": representation,
            "architecture": architecture,
            "baseline": means["baseline"][representation][architecture],
            "hardened": means["hardened"][representation][architecture],
            "comparison": comparison[representation][architecture],
            "cells": list(_pictures(grid.cells(representation, architecture), eps)),
        }
        for representation, architecture in grid.pairs()
    ]
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(sections=sections, eps=eps, attacks=[*grid.attack, "worst_linf", "worst_l2"])


def _pictures(cells: Iterable[Cell], eps: float) -> Iterable[dict[str, Any]]:
    for cell in cells:
        curves = {model: pd.read_csv(cell.plots(model) / "fooling.csv") for model in MODELS}
        pictures = {model: _embedded((cell.plots(model) / "examples.png").read_bytes()) for model in MODELS}
        yield {"fold": cell.fold, "curves": _embedded(figures.overlaid(curves, eps)), "examples": pictures}


def _embedded(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def read_json(path: Path) -> Metrics:
    """The metrics of a file.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        found: Metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); run `dvc repro`") from None
    return found


def write_json(path: Path, values: Metrics) -> None:
    """Write metrics, keys sorted; NaN is an error."""
    with files.replacing(path) as partial:
        partial.write_text(json.dumps(values, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    console.run(main)
