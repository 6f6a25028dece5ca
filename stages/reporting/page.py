"""The report as one page that stands alone."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from stages.audio.channels import CHANNELS
from stages.core.grid import MODELS
from stages.evaluation import rates
from stages.evaluation.results import Metrics
from stages.reporting import figures, summary
from stages.reporting.baseline_choice import baseline_choice
from stages.reporting.formatting import (
    format_decibels,
    format_louder,
    format_number,
    format_range,
    interval,
    level,
    percent,
)
from stages.reporting.sections import Section, budgets, in_image, in_sound
from stages.reporting.verdict import paired, verdict

TEMPLATE = Path(__file__).with_name("page.html.jinja")

MAGNIFIED = 1.4
"""Largest width of a drawing on the page, as a multiple of its own."""

DETAILED = 3
"""Number of sections that show pictures and sounds: all those of a large grid would make too large a page."""


def render(
    sections: Sequence[Section], drawn: Sequence[Mapping[str, str]], replays: pd.DataFrame, facts: Mapping[str, Any]
) -> str:
    """Render the report as one self-contained page.

    Args:
        sections: the sections, at least one.
        drawn: the drawings of each section.
        replays: the transfer between the models, as `transfer_matrix` has it.
        facts: `dataset`, `method`, and the budgets `eps` and `snr`.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "percent": percent,
        "cost": format_number,
        "db": format_decibels,
        "level": level,
        "louder": format_louder,
        "range": format_range,
        "interval": interval,
        "plain": "{:.3g}".format,
    }
    environment.globals |= {
        "embedded": embedded,
        "MODELS": MODELS,
        "labelled": figures.labelled,
        "in_sound": in_sound,
        "in_image": in_image,
        "paired": paired,
        "baseline_choice": baseline_choice,
    }
    told = [
        {"section": section, "verdict": list(verdict(section, float(facts["eps"]), float(facts["snr"])))}
        | {name: inlined(svg) for name, svg in drawings.items()}
        for section, drawings in zip(sections, drawn, strict=True)
    ]
    transfers = [transfer(replays, name) for name in dict.fromkeys(section.representation for section in sections)]
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    html = template.render(sections=told, transfers=transfers, detailed=DETAILED, channels=CHANNELS, **facts)
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", html)


def drawings(section: Section, eps: float, snr: float) -> dict[str, str]:
    """Make the section's drawings, as SVG, by name."""
    attacks = [name for name in section.fooling["baseline"].columns if name != "budget"]
    labels = _labels(section)
    confusion = {model: _shares(table, labels) for model, table in section.confusion.items()}
    rate_of = {model: _rates(table, labels, eps) for model, table in section.costs.items()}
    cost_of = {model: _median_costs(table, labels) for model, table in section.costs.items()}
    return {
        "fooling": figures.fooling(section.fooling, {"untargeted": eps, **budgets(section.metrics["baseline"][0])}),
        "snr": figures.snr(section.snr, snr),
        "costs": figures.costs(section.costs, attacks),
        "training": figures.training(section.training),
        "confusion": figures.matrices(confusion, "class", "taken for"),
        "target_rates": figures.matrices(rate_of, "class", "target"),
        "target_costs": figures.matrices(cost_of, "class", "target", _dearest(cost_of)),
    }


def _labels(section: Section) -> list[str]:
    """List the classes of the clips, those they are taken for, and those asked for, of both models."""
    named = [(table.actual, table.predicted) for table in section.confusion.values()]
    asked = [(table.source, table.target) for table in section.costs.values()]
    return sorted({label for columns in named + asked for column in columns for label in column})


def _dearest(matrices: Mapping[str, pd.DataFrame]) -> float:
    """Find the largest number of all matrices, 1 where there is none."""
    return max(float(np.nanmax(each.to_numpy(np.float64), initial=0.0)) for each in matrices.values()) or 1.0


def _shares(table: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    counts = pd.crosstab(table.actual, table.predicted).reindex(index=labels, columns=labels, fill_value=0)
    return counts.div(counts.sum(axis=1).clip(lower=1), axis=0)


def _rates(table: pd.DataFrame, labels: list[str], eps: float) -> pd.DataFrame:
    within = table.assign(within=(table.worst_linf <= eps).astype(float))
    return within.pivot_table("within", "source", "target", "mean").reindex(index=labels, columns=labels)


def _median_costs(table: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    filled = table.assign(cost=table.worst_linf.fillna(float("inf")))
    found = filled.groupby(["source", "target"])["cost"].agg(lambda costs: rates.quantile(costs.to_numpy(), 0.5))
    return found.replace(float("inf"), float("nan")).unstack().reindex(index=labels, columns=labels)


def transfer(replays: pd.DataFrame, representation: str) -> dict[str, Any]:
    """Arrange the transfer rates between all models of one representation, by source and model."""
    rows = replays[replays.representation == representation]
    labels = list(dict.fromkeys(rows.model))
    found = [[_mean_rate(rows, source, model) for model in labels] for source in labels]
    return {"representation": representation, "labels": labels, "rows": list(zip(labels, found, strict=True))}


def _mean_rate(rows: pd.DataFrame, source: str, model: str) -> Metrics:
    """Average the rate of one pair of models over the folds; give nothing for a model and itself."""
    chosen = rows[(rows.source == source) & (rows.model == model)].dropna(axis=1)
    names = [name for name in chosen.columns if name == "clips" or name.startswith("fooling_rate")]
    folds = [dict(zip(names, row, strict=True)) for row in chosen[names].to_numpy().tolist()]
    return summary.mean(folds) if folds else {}


def embedded(content: bytes, kind: str) -> str:
    """Build a data URI: an address that holds a file itself.

    Args:
        content: content of the file.
        kind: media type of the file, such as `image/png`.
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def inlined(svg: str) -> Markup:
    """Make a drawing part of the page, in its colours, hidden from screen readers: the figure has words."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # Groups are never referred to, and have the same names in every drawing.
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = body.replace(figures.INK, "currentColor").replace(figures.ACCENT, "var(--accent)")
    # Drawn by figures.py from names that matplotlib escapes.
    width = MAGNIFIED * float(body.partition('width="')[2].partition("pt")[0])
    opening = f'<svg aria-hidden="true" focusable="false" style="max-width: {width:.0f}pt" '
    return Markup(body.replace("<svg ", opening, 1))  # noqa: S704
