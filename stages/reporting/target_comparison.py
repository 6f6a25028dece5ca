"""What the wrong classes cost that an attack may aim at, as text for a terminal."""

from collections.abc import Mapping

from stages.evaluation import rates
from stages.evaluation.results import Metrics
from stages.reporting.formatting import format_decibels, format_number, format_range, interval
from stages.stores.perturbations import Norm, decibels

TOLD = {
    "easiest": "easiest class: {} of {} clips",
    "mean": "mean of classes: {} of the wrong classes of {} clips",
}


def as_text(found: Mapping[str, Metrics], norm: Norm, budget: float) -> str:
    """Lay out what `all_targets.compare` found: a line for the easiest class of each clip, and one for the mean of all.

    Args:
        found: the two comparisons, by name.
        norm: the norm of the costs.
        budget: the budget that the rates are of, in that norm.

    Example:
        >>> print(as_text({"mean": {"clips": 2, "fooling_rate": 0.5, "cost_median": 0.03}}, "linf", 0.02), end="")
        mean of classes: 50.0 % of the wrong classes of 2 clips within 0.02 (linf), median cost 0.0300
    """
    within = f"an SNR of {decibels(budget):g} dB" if norm == "snr" else f"{budget:g} ({norm})"
    lines = [
        f"{TOLD[name].format(interval(each, 'fooling_rate'), each['clips'])} within {within}, {_cost(each, norm)}"
        for name, each in found.items()
    ]
    return "".join(f"{line}\n" for line in lines)


def _cost(metrics: Metrics, norm: Norm) -> str:
    if norm != "snr":
        return (
            f"median cost {format_number(metrics.get('cost_median'))}{format_range(metrics, 'cost_median', '{:.4f}')}"
        )
    told = rates.loudness(metrics)
    return f"median {format_decibels(told.get('snr_median'))}{format_range(told, 'snr_median', '{:.1f}')}"
