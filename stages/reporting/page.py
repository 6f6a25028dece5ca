"""The report as one page that stands alone, and its table as text."""

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from stages.reporting.sections import Section
from stages.stores.perturbations import WORST

TEMPLATE = Path(__file__).with_name("page.html.jinja")

Cell = Callable[[float | None], str]
"""Writes a number, or that there is none."""

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
        "louder": _louder,
        "interval": interval,
        "plain": "{:.3g}".format,
    }
    environment.globals |= {
        "embedded": embedded,
        "MODELS": MODELS,
        "labelled": figures.labelled,
        "in_sound": in_sound,
        "in_image": in_image,
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
        "fooling": figures.fooling(section.fooling, eps),
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


def verdict(section: Section, eps: float, snr: float) -> Iterator[str]:
    """Yield sentences: on the accuracy, on what moves the models' sounds, and on what moves their images."""
    before, after = (section.means[model] for model in MODELS)
    yield (
        f"Hardening moved the accuracy on clean clips from {percent(before['clean']['accuracy'])} to "
        f"{percent(after['clean']['accuracy'])}."
    )
    yield from _sound_sentences(section, snr)
    yield from _image_sentences(section, eps)


def _sound_sentences(section: Section, snr: float) -> Iterator[str]:
    """Yield what an attacker who changes the sound can do, before and after hardening."""
    means = [section.means[model] for model in MODELS]
    untargeted = [each["untargeted"]["sound"] for each in means]
    if all("error_rate" in each for each in untargeted):
        first, second = (percent(each["error_rate"]) for each in untargeted)
        yield (
            f"As sound, into any wrong class: a change {snr:g} dB below the clip moved {first} of the clips that a "
            f"model gets right before, and moves {second} now{_median_snr(untargeted)}."
        )
    worst = [each["adaptive"].get("worst_snr", {}) for each in means]
    if all("fooling_rate" in each for each in worst):
        first, second = (percent(each["fooling_rate"]) for each in worst)
        gain = section.comparison["sound"].get("snr_gain")
        louder = f"; the median clip that both get right needs a change {_louder(gain)}" if gain is not None else ""
        yield f"As sound, into one class asked for: {first} before, {second} now{louder}."


def _louder(gain: float) -> str:
    """Say by how much louder a change must be, or how much fainter it may be."""
    return f"{gain:.1f} dB louder" if gain >= 0 else f"{-gain:.1f} dB fainter"


def _median_snr(untargeted: Sequence[Metrics]) -> str:
    if not all("snr_median" in each for each in untargeted):
        return ""
    before, after = (each["snr_median"] for each in untargeted)
    return f" (half of them at {before:.1f} dB before, at {after:.1f} dB now)"


def _image_sentences(section: Section, eps: float) -> Iterator[str]:
    """Yield what an attacker who changes the image can do, before and after hardening."""
    worst = [section.means[model]["adaptive"].get("worst_linf", {}) for model in MODELS]
    if not any(worst):
        return
    if all("fooling_rate" in each for each in worst):
        first, second = (percent(each["fooling_rate"]) for each in worst)
        yield (
            f"As images, into one class asked for: the best attack on each clip fooled {first} within a budget of "
            f"{eps:g} (L∞: no bin of the image changes by more) before, and fools {second} now. "
            + _cost_sentence(section.comparison["worst_linf"], worst[1])
        )
    else:
        yield "A model got no clip right, so that there is none to be fooled and no fooling rate."


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


def markdown(sections: Sequence[Section], eps: float, snr: float) -> str:
    """Write the tables of the report in Markdown, for a README."""
    return "\n".join(line for section in sections for line in _tables(section, eps, snr))


def _tables(section: Section, eps: float, snr: float) -> Iterator[str]:
    before, after = (section.means[model] for model in MODELS)
    accuracy = _arrow(interval(means["clean"], "accuracy") for means in (before, after))
    yield f"{section.name}, fold {', '.join(map(str, section.folds))}, {before['clean']['clips']:g} clips, baseline →"
    yield f"hardened: clean accuracy {accuracy};"
    told = {"image": f"within {eps:g}", "sound": f"within {snr:g} dB"}
    for domain, budget in told.items():
        error = _arrow(interval(means["untargeted"][domain], "error_rate") for means in (before, after))
        yield f"moved into any wrong class, as {domain} {budget}: {error};"
    medians = _arrow(format_decibels(means["untargeted"]["sound"].get("snr_median")) for means in (before, after))
    yield f"SNR at which half the sounds leave their class: {medians}.\n"
    first, second = before["adaptive"], after["adaptive"]
    titles = ("sound", f"{snr:g} dB", "median SNR", "SNR for 90 %")
    yield from _attack_table(first, second, in_sound(first), titles, dict.fromkeys(rates.SNRS, format_decibels))
    titles = ("image", f"{eps:g}", "median cost", "eps90")
    yield from _attack_table(first, second, in_image(first), titles, dict.fromkeys(rates.COST_QUANTILES, format_number))


def _attack_table(
    before: Metrics, after: Metrics, names: Sequence[str], titles: Sequence[str], costs: Mapping[str, Cell]
) -> Iterator[str]:
    """Yield the lines of one table, none if there are no attacks.

    Args:
        before: metrics of the attacks on the baseline.
        after: metrics of those on the hardened model.
        names: the attacks, a row each.
        titles: titles of domain, fooling rate and costs.
        costs: keys of the costs, and how each is written.
    """
    if not names:
        return
    domain, rate, *dear = titles
    yield f"| {' | '.join([domain, f'targeted fooling rate within {rate}', 'at any size', *dear, 'queries a clip'])} |"
    yield "|---|---|---|---|---|---|"
    for attack in names:
        pair = (before[attack], after[attack])
        cells = [
            _arrow(interval(each, "fooling_rate") for each in pair),
            _arrow(percent(each.get("fooling_ceiling")) for each in pair),
            *(_arrow(write(each.get(name)) for each in pair) for name, write in costs.items()),
            _arrow(whole(each.get("queries")) for each in pair),
        ]
        yield f"| `{attack}`{_doubt(pair)} | {' | '.join(cells)} |"
    yield ""


def _doubt(pair: Iterable[Metrics]) -> str:
    return " (tuning did not converge)" if any(each.get("converged", 1) < 1 for each in pair) else ""


def in_sound(adaptive: Metrics) -> list[str]:
    """List the attacks on sound, and their worst case, that there are metrics of."""
    attacks = [name for name in adaptive if name.startswith("sound_")]
    return [*attacks, "worst_snr"] if attacks else []


def in_image(adaptive: Metrics) -> list[str]:
    """List the attacks on images, and their worst cases, that there are metrics of."""
    others = {*in_sound(adaptive), *WORST}
    worst = [name for name in WORST if name != "worst_snr" and name in adaptive]
    return [name for name in adaptive if name not in others] + worst


def _arrow(cells: Iterable[str]) -> str:
    return " → ".join(cells)


def percent(value: float | None) -> str:
    """Write a share as text, a dash for none."""
    return NOTHING if value is None else f"{100 * value:.1f} %"


def format_number(value: float | None) -> str:
    """Write a cost as text, a dash for none."""
    return NOTHING if value is None else f"{value:.4f}"


def format_decibels(value: float | None) -> str:
    """Write a ratio in dB as text, a dash for none."""
    return NOTHING if value is None else f"{value:.1f} dB"


def level(value: float | None) -> str:
    """Write a number of dB as text, without its unit, a dash for none."""
    return NOTHING if value is None else f"{value:.1f}"


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
