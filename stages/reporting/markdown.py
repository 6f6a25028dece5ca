"""The tables of the report in Markdown, for a README."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from stages.core.grid import MODELS
from stages.evaluation import rates
from stages.evaluation.results import Metrics
from stages.reporting.formatting import format_decibels, format_number, interval, whole
from stages.reporting.sections import Section, in_image, in_sound

Cell = Callable[[float | None], str]
"""Writes a number, or that there is none."""

INTERVALS = "In brackets 95 % intervals, in which clips of one recording count as copies of each other."


def markdown(sections: Sequence[Section], eps: float, snr: float) -> str:
    """Write the tables of all sections.

    Args:
        sections: the results of each representation and architecture.
        eps: the budget of images, in L-infinity.
        snr: the budget of sounds, in dB.
    """
    return "\n".join(line for section in sections for line in _tables(section, eps, snr))


def _tables(section: Section, eps: float, snr: float) -> Iterator[str]:
    before, after = (section.means[model] for model in MODELS)
    several = " a fold" if len(section.folds) > 1 else ""
    yield from _lead(section, eps, snr, several)
    first, second = before["adaptive"], after["adaptive"]
    titles = ("sound", f"{snr:g} dB", "median SNR", "SNR for 90 %")
    costs = dict.fromkeys(rates.SNRS, format_decibels)
    yield from _attack_table(first, second, in_sound(first), titles, costs, several)
    titles = ("image, each attack in its own norm", "the budget of its norm", "median cost", "eps90")
    costs = dict.fromkeys(rates.COST_QUANTILES, format_number)
    yield from _attack_table(first, second, in_image(first), titles, costs, several)


def _lead(section: Section, eps: float, snr: float, several: str) -> Iterator[str]:
    """Yield the lines above the tables: the accuracy, and what withstands untargeted attacks."""
    before, after = (section.means[model] for model in MODELS)
    folds, clips = ", ".join(map(str, section.folds)), before["clean"]["clips"]
    yield f"{section.name}, fold {folds}, {clips:g} clips{several}, baseline → hardened. {INTERVALS}\n"
    yield f"- clean accuracy: {_arrow(interval(means['clean'], 'accuracy') for means in (before, after))};"
    told = {"image": f"within {eps:g} (L∞)", "sound": f"within an SNR of {snr:g} dB"}
    for domain, budget in told.items():
        robust = _arrow(interval(means["untargeted"][domain], "robust_accuracy") for means in (before, after))
        yield f"- robust accuracy, untargeted attacks on the {domain} {budget}: {robust};"
    medians = _arrow(format_decibels(means["untargeted"]["sound"].get("snr_median")) for means in (before, after))
    yield f"- SNR at which half the sounds that a model gets right leave their class: {medians}.\n"


def _attack_table(
    before: Metrics,
    after: Metrics,
    names: Sequence[str],
    titles: Sequence[str],
    costs: Mapping[str, Cell],
    several: str,
) -> Iterator[str]:
    """Yield the lines of one table, none if there are no attacks.

    Args:
        before: metrics of the attacks on the baseline.
        after: metrics of those on the hardened model.
        names: the attacks, a row each.
        titles: titles of domain, fooling rate and costs.
        costs: keys of the costs, and how each is written.
        several: words after a number of clips, where there are several folds.
    """
    if not names:
        return
    domain, rate, *dear = titles
    counts = _arrow(f"{each[names[-1]]['eligible']:g}" for each in (before, after))
    yield f"Targeted attacks on the {domain}; of the {counts} clips{several} that a model gets right:\n"
    yield f"| attack | targeted fooling rate within {rate} | at any size | {' | '.join(dear)} | queries a clip |"
    yield "|---|---|---|---|---|---|"
    for attack in names:
        yield _row(attack, (before[attack], after[attack]), costs)
    yield ""


def _row(attack: str, pair: tuple[Metrics, Metrics], costs: Mapping[str, Cell]) -> str:
    cells = [
        _arrow(interval(each, "fooling_rate") for each in pair),
        _arrow(interval(each, "fooling_ceiling") for each in pair),
        *(_arrow(write(each.get(name)) for each in pair) for name, write in costs.items()),
        _arrow(whole(each.get("queries")) for each in pair),
    ]
    return f"| `{attack}`{_tuning(pair[0])} | {' | '.join(cells)} |"


def _tuning(metrics: Metrics) -> str:
    """Tell how the tuning ended, which is the same for both models."""
    if "tuning_fall" not in metrics:
        return ""
    end = "" if metrics["converged"] == 1 else ", not converged"
    return f" (cost at the last doubling: {0 - 100 * metrics['tuning_fall']:+.1f} %{end})"


def _arrow(cells: Iterable[str]) -> str:
    return " → ".join(cells)
