"""Model cards: what a model is, what it was trained on, how good it is, and under which terms its data are."""

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from stages.attacks.base import AttackParams
from stages.core.paths import CellPaths
from stages.reporting.baseline_choice import baseline_choice, validation_accuracies
from stages.reporting.formatting import interval, percent

COSTS = {"cost_median": "median cost", "eps90": "eps90", "snr_median": "median SNR, dB"}
"""Costs that a card tells, and the titles of their columns."""


def text(
    cell: CellPaths,
    model: str,
    facts: Mapping[str, str],
    metrics: Mapping[str, Any],
    terms: str,
    settings: AttackParams,
) -> str:
    """Write the text of a model card, in Markdown.

    Args:
        cell: cell of the model.
        model: `baseline` or `hardened`.
        facts: metadata of the model's file.
        metrics: metrics that `evaluate` found.
        terms: licence and source of the data.
        settings: the budgets of the fooling rates.
    """
    environment = jinja2.Environment(  # noqa: S701 - it is Markdown: what may hold HTML is escaped below
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"interval": interval, "percent": percent}
    return environment.get_template("model_card.md.jinja").render(
        cell=cell,
        model=model,
        facts={name: html.escape(value, quote=False) for name, value in sorted(facts.items()) if name != "baselines"},
        choice=baseline_choice([facts]) if "baselines" in facts else "",
        accuracies=validation_accuracies(facts) if "baselines" in facts else {},
        clean=metrics["clean"],
        untargeted=metrics["untargeted"],
        adaptive=metrics["adaptive"],
        failed=[name for name, holds in metrics["checks"].items() if not holds and name != "passed"],
        costs=COSTS,
        terms=terms.strip(),
        eps=settings.eps,
        snr=settings.snr,
    )
