"""All that the report writes: summary, details, comparison, curves and figures for plots, and the page for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from pydantic import StrictBool

from stages.core import files, paths
from stages.core.grid import MODELS
from stages.core.params import Parameters
from stages.core.progress import log
from stages.evaluation import results
from stages.reporting import figures, page, tables
from stages.reporting.markdown import markdown
from stages.reporting.sections import Section, average, tree


class ReportParams(Parameters):
    """The model whose metrics metrics/summary.json holds, and whether a failed check is an error."""

    model: Literal["baseline", "hardened"]
    require_checks: StrictBool


@dataclass(frozen=True)
class Context:
    """The facts that the page tells beside the numbers."""

    dataset: str
    method: str
    """Method of hardening."""
    eps: float
    eps_l2: float
    eps_l1: float
    snr: float


def write(sections: Sequence[Section], replays: pd.DataFrame, model: str, context: Context) -> None:
    """Write all files that `dvc.yaml` asks of the stage `report`.

    Args:
        sections: the results of each representation and architecture.
        replays: the transfer between the models.
        model: `baseline` or `hardened`: whose metrics the summary holds.
        context: the facts that the page tells beside the numbers.
    """
    results.write(paths.SUMMARY, tree(sections, lambda section: results.headline(section.means[model])))
    results.write(paths.DETAILS, tree(sections, lambda section: results.details(section.means[model])))
    results.write(paths.COMPARISON, tree(sections, lambda section: section.comparison))
    curves = {name: average([each.fooling[name] for each in sections]) for name in MODELS}
    tables.write(paths.CURVES, {"fooling": tables.overlaid(curves), "transfer": replays})
    drawn = [page.drawings(section, context.eps, context.snr) for section in sections]
    write_figures(sections, drawn)
    html = page.render(sections, drawn, replays, vars(context))
    for path, text in ((paths.REPORT, html), (paths.TABLE, markdown(sections, context.eps, context.snr))):
        with files.replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")
    log(f"{paths.REPORT}: {len(html.encode()) / 1e6:.1f} MB")


def write_figures(sections: Sequence[Section], drawn: Sequence[Mapping[str, str]]) -> None:
    """Write each drawing of each section as `metrics/figures/<representation>-<architecture>-<name>.svg`."""
    with files.replacing(paths.FIGURES) as partial:
        partial.mkdir()
        for section, drawings in zip(sections, drawn, strict=True):
            for name, svg in drawings.items():
                file = partial / f"{section.representation}-{section.architecture}-{name}.svg"
                file.write_text(figures.standing_alone(svg), encoding="utf-8")
