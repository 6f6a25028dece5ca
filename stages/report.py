"""Stage `report`: one summary of the grid, the comparison of both models, and a page for people."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import StrictBool

from stages import console, files, params, paths
from stages.console import InputError
from stages.evaluation import results
from stages.evaluation.checks import RULES
from stages.evaluation.results import Metrics
from stages.grid import MODELS, GridParams
from stages.params import Parameters
from stages.paths import Cell
from stages.reporting import exhibits, figures, page, summary, tables
from stages.reporting.page import Section

Tree = dict[str, dict[str, Metrics]]
"""Metrics by representation and architecture."""


class ReportParams(Parameters):
    """Whose metrics metrics/summary.json holds, and whether a failed check is an error."""

    model: Literal["baseline", "hardened"]
    require_checks: StrictBool


def main() -> None:
    """Write metrics/summary.json, metrics/comparison.json, the curves for plots, and metrics/report.html."""
    grid: GridParams = params.read("grid", GridParams)
    settings: ReportParams = params.read("report", ReportParams)
    eps: float = params.read("attack.eps", params.Number)
    sections = [read_section(grid, *pair) for pair in grid.pairs()]
    if settings.require_checks:
        require_checks(sections)
    results.write(paths.SUMMARY, tree(sections, lambda section: summary.mean(section.metrics[settings.model])))
    results.write(paths.COMPARISON, tree(sections, lambda section: section.comparison))
    tables.write(
        paths.CURVES,
        {"fooling": tables.overlaid({model: average([each.fooling[model] for each in sections]) for model in MODELS})},
    )
    facts = {
        "dataset": params.read("dataset.name", params.Name),
        "method": params.read("harden.method", params.Name),
        "eps": eps,
        "attacks": grid.attack,
    }
    drawn = [page.drawings(section, eps) for section in sections]
    write_figures(sections, drawn)
    html = page.render(sections, drawn, facts)
    with files.replacing(paths.REPORT) as partial:
        partial.write_text(html, encoding="utf-8")
    with files.replacing(paths.TABLE) as partial:
        partial.write_text(page.markdown(sections, eps), encoding="utf-8")
    console.say(f"{paths.REPORT}: {len(html.encode()) / 1e6:.1f} MB")


def write_figures(sections: list[Section], drawn: list[dict[str, str]]) -> None:
    """Write each drawing of each section as `metrics/figures/<representation>-<architecture>-<name>.svg`."""
    with files.replacing(paths.FIGURES) as partial:
        partial.mkdir()
        for section, drawings in zip(sections, drawn, strict=True):
            for name, svg in drawings.items():
                file = partial / f"{section.representation}-{section.architecture}-{name}.svg"
                file.write_text(figures.standing_alone(svg), encoding="utf-8")


def read_section(grid: GridParams, representation: str, architecture: str) -> Section:
    """All that there is of one representation and architecture.

    Raises:
        InputError: something that `evaluate` writes is missing or damaged.
    """
    cells = grid.cells(representation, architecture)
    first = cells[0]
    metrics = {model: [results.read(cell.told(model)) for cell in cells] for model in MODELS}
    return Section(
        representation=representation,
        architecture=architecture,
        folds=[cell.fold for cell in cells],
        metrics=metrics,
        comparison=summary.compare(metrics["baseline"], metrics["hardened"]),
        fooling={model: average([table(cell, model, "fooling") for cell in cells]) for model in MODELS},
        costs={model: pd.concat([table(cell, model, "costs") for cell in cells]) for model in MODELS},
        confusion={model: pd.concat([table(cell, model, "confusion") for cell in cells]) for model in MODELS},
        training={model: read_table(first.curve(model), first.writer(model)) for model in MODELS},
        exhibits={model: exhibits.read(first.exhibits(model), first.stage("evaluate", model)) for model in MODELS},
    )


def table(cell: Cell, model: str, name: str) -> pd.DataFrame:
    """A table that `evaluate` wrote.

    Raises:
        InputError: it is missing.
    """
    return read_table(cell.plots(model) / f"{name}.csv", cell.stage("evaluate", model))


def read_table(path: Path, stage: str) -> pd.DataFrame:
    """A table; the columns of names hold texts, even of clips and classes whose names look like numbers.

    Raises:
        InputError: it is missing; names the stage to run again.
    """
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro {stage}`")
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(tables.NAMES, str))


def average(curves: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean of tables of the same rows, over those that have a number."""
    means: pd.DataFrame = pd.concat(curves).groupby(level=0).mean()
    return means


def tree(sections: list[Section], of: Callable[[Section], Metrics]) -> Tree:
    """`{representation: {architecture: of(section)}}`."""
    found: Tree = {section.representation: {} for section in sections}
    for section in sections:
        found[section.representation][section.architecture] = of(section)
    return found


def require_checks(sections: list[Section]) -> None:
    """Stop at checks that failed.

    Raises:
        InputError: names each model and check.
    """
    if failed := [line for section in sections for line in _failed(section)]:
        raise InputError("report.require_checks: checks failed:\n" + "\n".join(failed))


def _failed(section: Section) -> Iterator[str]:
    for model in MODELS:
        for fold, metrics in zip(section.folds, section.metrics[model], strict=True):
            for name in _names_of_failed(metrics["checks"]):
                rule, figure = RULES[name], metrics["check_figures"][name]
                where = f"{section.representation} {section.architecture} fold {fold} {model}"
                yield f"{where}: {name}: {rule.figure} is {figure:g}, must be {rule.limit}"


def _names_of_failed(checks: Mapping[str, int]) -> list[str]:
    return [name for name, holds in checks.items() if name in RULES and not holds]


if __name__ == "__main__":
    console.run(main)
