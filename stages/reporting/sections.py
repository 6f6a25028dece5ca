"""What the report tells of one representation and architecture, read from what `evaluate` wrote."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from stages.core.errors import InputError
from stages.core.grid import MODELS, GridParams
from stages.core.paths import CellPaths
from stages.evaluation import results
from stages.evaluation.results import Metrics
from stages.evaluation.rules import RULES, applying
from stages.reporting import assets, comparison, summary, tables
from stages.reporting.assets import Asset
from stages.stores.perturbations import WORST

Tree = dict[str, dict[str, Metrics]]
"""Metrics by representation and architecture."""


@dataclass(frozen=True)
class Section:
    """The results of one representation and architecture; mappings by model are in the order of `MODELS`."""

    representation: str
    architecture: str
    folds: list[int]
    metrics: Mapping[str, list[Metrics]]
    """Metrics by model, one per fold."""
    comparison: Metrics
    fooling: Mapping[str, pd.DataFrame]
    costs: Mapping[str, pd.DataFrame]
    snr: Mapping[str, pd.DataFrame]
    """Share of the sounds moved over the signal-to-noise ratio, by model."""
    confusion: Mapping[str, pd.DataFrame]
    training: Mapping[str, pd.DataFrame]
    """Training histories of the first fold, by model."""
    facts: list[Mapping[str, str]]
    """Facts that the model files of the baselines tell, one per fold."""
    assets: Mapping[str, list[Asset]]
    """Assets of the first fold, by model."""

    @property
    def name(self) -> str:
        """The name that the models go by."""
        return f"{self.architecture} on {self.representation}"

    @cached_property
    def means(self) -> dict[str, Metrics]:
        """The metrics by model, averaged over the folds."""
        return {model: summary.mean(folds) for model, folds in self.metrics.items()}

    def checks(self) -> Iterator[dict[str, Any]]:
        """Yield each check: its rule, and by model whether it applies, holds in every fold, and its figures.

        None in place of a verdict says that some fold could not measure it.
        """
        for name, rule in RULES.items():
            models = {}
            for model, folds in self.metrics.items():
                held = [each["checks"][name] for each in folds if name in each["checks"]]
                figures = [each["check_figures"][name] for each in folds if name in each["checks"]]
                holds = all(held) if len(held) == len(folds) else None
                models[model] = {"applies": model in rule.models, "holds": holds, "figures": figures}
            yield {"name": name, "rule": rule, "models": models}

    @property
    def passed(self) -> bool:
        """The verdict on the checks: True if every check of both models holds in every fold."""
        return all(each["checks"]["passed"] for folds in self.metrics.values() for each in folds)

    def shown(self, model: str, kind: str) -> list[Asset]:
        """Pick the model's assets of one kind."""
        return [each for each in self.assets[model] if each.kind == kind]


def read_sections(grid: GridParams) -> list[Section]:
    """Read the results of each representation and architecture of the grid.

    Raises:
        InputError: something that `evaluate` writes is missing or damaged.
    """
    return [_read(grid.cells(*pair)) for pair in grid.pairs()]


def recordings(sections: Sequence[Section]) -> dict[str, str]:
    """Find the recording of each clip that some model gets right."""
    shown = pd.concat([table[["clip", "group"]] for section in sections for table in section.costs.values()])
    return dict(zip(shown["clip"], shown["group"], strict=True))


def _read(cells: Sequence[CellPaths]) -> Section:
    """Read the results of the cells of one representation and architecture, one per fold."""
    first = cells[0]
    metrics = {model: [results.read(cell.metrics_copy(model)) for cell in cells] for model in MODELS}
    costs, snrs = ([_by_model(cell, name) for cell in cells] for name in ("costs", "snrs"))
    drop = comparison.accuracy_drop(metrics["baseline"], metrics["hardened"])
    return Section(
        representation=first.representation,
        architecture=first.architecture,
        folds=[cell.fold for cell in cells],
        metrics=metrics,
        comparison=drop | comparison.compare(costs, snrs, budgets(metrics["baseline"][0])),
        fooling={model: average([_table(cell, model, "fooling") for cell in cells]) for model in MODELS},
        snr={model: average([_table(cell, model, "snr") for cell in cells]) for model in MODELS},
        costs={model: pd.concat([each[model] for each in costs]) for model in MODELS},
        confusion={model: pd.concat([_table(cell, model, "confusion") for cell in cells]) for model in MODELS},
        training={model: read_table(first.history(model), first.writer(model)) for model in MODELS},
        facts=[results.read(cell.facts_copy("baseline")) for cell in cells],
        assets={model: assets.read(first.assets(model), first.stage("evaluate", model)) for model in MODELS},
    )


def budgets(metrics: Metrics) -> dict[str, float]:
    """Find the budget that each attack's rates are told for, in the norm of its costs; of sounds an amplitude ratio."""
    return {name: values["budget"] for name, values in metrics["adaptive"].items()}


def _by_model(cell: CellPaths, name: str) -> dict[str, pd.DataFrame]:
    return {model: _table(cell, model, name) for model in MODELS}


def _table(cell: CellPaths, model: str, name: str) -> pd.DataFrame:
    return read_table(cell.plots(model) / f"{name}.csv", cell.stage("evaluate", model))


def read_table(path: Path, stage: str) -> pd.DataFrame:
    """Read a table; the columns of names hold texts, even of clips and classes whose names look like numbers.

    Raises:
        InputError: the table is missing; the message names the stage to run again.
    """
    if not path.exists():
        raise InputError(f"{path} is missing; run `dvc repro {stage}`")
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(tables.NAMES, str))


def average(curves: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Average tables of the same rows; each cell is averaged over the tables that have a number."""
    means: pd.DataFrame = pd.concat(curves).groupby(level=0).mean()
    return means


def tree(sections: Sequence[Section], of: Callable[[Section], Metrics]) -> Tree:
    """Arrange a result of each section as `{representation: {architecture: of(section)}}`."""
    found: Tree = {section.representation: {} for section in sections}
    for section in sections:
        found[section.representation][section.architecture] = of(section)
    return found


def in_sound(adaptive: Metrics) -> list[str]:
    """List the attacks on sound, and their worst case, that there are metrics of."""
    attacks = [name for name in adaptive if name.startswith("sound_")]
    return [*attacks, "worst_snr"] if attacks else []


def in_image(adaptive: Metrics) -> list[str]:
    """List the attacks on images, and their worst cases, that there are metrics of."""
    others = {*in_sound(adaptive), *WORST}
    worst = [name for name in WORST if name != "worst_snr" and name in adaptive]
    return [name for name in adaptive if name not in others] + worst


def require_checks(sections: Sequence[Section]) -> None:
    """Stop with an error at checks that failed.

    Raises:
        InputError: checks failed; the message names each model and check.
    """
    if failed := [line for section in sections for line in _failed(section)]:
        raise InputError("report.require_checks: checks failed:\n" + "\n".join(failed))


def _failed(section: Section) -> Iterator[str]:
    for model in MODELS:
        for fold, metrics in zip(section.folds, section.metrics[model], strict=True):
            for name in applying(model):
                if not metrics["checks"].get(name, 0):
                    where = f"{section.representation} {section.architecture} fold {fold} {model}"
                    yield f"{where}: {name}: {_reason(name, metrics['check_figures'])}"


def _reason(name: str, figures: Mapping[str, float]) -> str:
    rule = RULES[name]
    if name not in figures:
        return f"{rule.figure} was not measured"
    return f"{rule.figure} is {figures[name]:g}, must be {rule.limit}"
