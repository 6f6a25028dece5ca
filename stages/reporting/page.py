"""The report as one page that stands alone, and its table as text."""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from stages.core.grid import MODELS
from stages.evaluation import rates
from stages.evaluation.checks import SIZES
from stages.evaluation.results import Metrics
from stages.reporting import figures, summary
from stages.reporting.sections import Section

TEMPLATE = Path(__file__).with_name("page.html.jinja")

NOTHING = "\N{EN DASH}"
"""Text in place of a number that there is not."""

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
        facts: `dataset`, `eps`, and `attacks`, a list of names.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": percent, "cost": format_number, "interval": interval, "plain": "{:.3g}".format}
    environment.globals |= {"embedded": embedded, "MODELS": MODELS, "labelled": figures.labelled}
    told = [
        {"section": section, "verdict": list(verdict(section, float(facts["eps"])))}
        | {name: inlined(svg) for name, svg in drawings.items()}
        for section, drawings in zip(sections, drawn, strict=True)
    ]
    transfers = [transfer(replays, name) for name in dict.fromkeys(section.representation for section in sections)]
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    rows = [*facts["attacks"], *SIZES]
    html = template.render(sections=told, transfers=transfers, rows=rows, detailed=DETAILED, **facts)
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", html)


def drawings(section: Section, eps: float) -> dict[str, str]:
    """Make the section's drawings, as SVG, by name."""
    attacks = [name for name in section.fooling["baseline"].columns if name != "budget"]
    labels = _labels(section)
    confusion = {model: _shares(table, labels) for model, table in section.confusion.items()}
    rate_of = {model: _rates(table, labels, eps) for model, table in section.costs.items()}
    cost_of = {model: _median_costs(table, labels) for model, table in section.costs.items()}
    return {
        "fooling": figures.fooling(section.fooling, eps),
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


def verdict(section: Section, eps: float) -> Iterator[str]:
    """Yield three sentences: on the accuracy before and after, the gain within the budget, and the attacker's cost."""
    before, after = (section.means[model] for model in MODELS)
    yield (
        f"Hardening moved the accuracy on clean clips from {percent(before['clean']['accuracy'])} to "
        f"{percent(after['clean']['accuracy'])}."
    )
    worst = [means["adaptive"]["worst_linf"] for means in (before, after)]
    if all("fooling_rate" in each for each in worst):
        first, second = (percent(each["fooling_rate"]) for each in worst)
        yield (
            f"Of the clips that a model gets right, the best attack on each fooled {first} within a budget of {eps:g} "
            f"(L∞: no bin of the image changes by more) before, and fools {second} now."
        )
    else:
        yield "A model got no clip right, so that there is none to be fooled and no fooling rate."
    yield _cost_sentence(section.comparison["worst_linf"], worst[1])


def _cost_sentence(compared: Metrics, after: Metrics) -> str:
    ceiling = (
        f", and at any size {percent(after['fooling_ceiling'])} are still fooled" if "fooling_ceiling" in after else ""
    )
    if "cost_ratio" in compared:
        return (
            f"The attacker now needs {compared['cost_ratio']:.1f} times the perturbation (L∞) for the median "
            f"clip{ceiling}."
        )
    return f"The median clip of a model is fooled at no size, so that there is no ratio of costs{ceiling}."


def transfer(replays: pd.DataFrame, representation: str) -> dict[str, Any]:
    """Arrange the transfer rates between all models of one representation, by source and model."""
    rows = replays[replays.representation == representation]
    labels = list(dict.fromkeys(rows.model))
    found = [[_mean_rate(rows, source, model) for model in labels] for source in labels]
    return {"representation": representation, "labels": labels, "rows": list(zip(labels, found, strict=True))}


def _mean_rate(rows: pd.DataFrame, source: str, model: str) -> Metrics:
    """Average the rate of one pair of models over the folds; give nothing for a model and itself."""
    chosen = rows[(rows.source == source) & (rows.model == model)].dropna(axis=1)
    names = [name for name in chosen.columns if name.startswith("fooling_rate")]
    folds = [dict(zip(names, row, strict=True)) for row in chosen[names].to_numpy().tolist()]
    return summary.mean(folds) if folds else {}


def markdown(sections: Sequence[Section], eps: float) -> str:
    """Write the tables of the report in Markdown, for a README."""
    return "\n".join(line for section in sections for line in _table(section, eps))


def _table(section: Section, eps: float) -> Iterator[str]:
    before, after = (section.means[model] for model in MODELS)
    accuracy = _arrow(interval(means["clean"], "accuracy") for means in (before, after))
    yield f"{section.name}, fold {', '.join(map(str, section.folds))}, {before['clean']['clips']:g} clips, baseline →"
    yield f"hardened: clean accuracy {accuracy};"
    error = _arrow(interval(means["untargeted"], "error_rate") for means in (before, after))
    yield f"moved into any wrong class within {eps:g}: {error}.\n"
    yield f"| | targeted fooling rate within {eps:g} | at any size | median cost | eps90 | queries a clip |"
    yield "|---|---|---|---|---|---|"
    for attack in before["adaptive"]:
        pair = [means["adaptive"][attack] for means in (before, after)]
        cells = [
            _arrow(interval(each, "fooling_rate") for each in pair),
            _arrow(percent(each.get("fooling_ceiling")) for each in pair),
            *(_arrow(format_number(each.get(name)) for each in pair) for name in rates.COST_QUANTILES),
            _arrow(whole(each.get("queries")) for each in pair),
        ]
        doubt = " (tuning did not converge)" if any(each.get("converged", 1) < 1 for each in pair) else ""
        yield f"| `{attack}`{doubt} | {' | '.join(cells)} |"
    yield ""


def _arrow(cells: Iterable[str]) -> str:
    return " → ".join(cells)


def percent(value: float | None) -> str:
    """Write a share as text, a dash for none."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def format_number(value: float | None) -> str:
    """Write a cost as text, a dash for none."""
    return NOTHING if value is None else f"{value:.4f}"


def whole(value: float | None) -> str:
    """Write a number without decimals as text, a dash for none."""
    return NOTHING if value is None else f"{value:.0f}"


def interval(metrics: Metrics, key: str) -> str:
    """Write a share with its interval, such as `8.1 % [4.2 %, 15.1 %]`."""
    if key not in metrics:
        return NOTHING
    return f"{percent(metrics[key])} [{percent(metrics[f'{key}_low'])}, {percent(metrics[f'{key}_high'])}]"


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
