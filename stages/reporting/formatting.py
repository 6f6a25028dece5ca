"""Numbers as text; a dash where there is none."""

from stages.evaluation.results import Metrics

NOTHING = "\N{EN DASH}"
"""Text in place of a number that there is not."""


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
    if f"{key}_low" not in metrics:
        return percent(metrics.get(key))
    return f"{percent(metrics[key])} [{percent(metrics[f'{key}_low'])}, {percent(metrics[f'{key}_high'])}]"


def format_range(metrics: Metrics, key: str, number: str) -> str:
    """Write the interval of a number after it, such as ` [2.1, 4.0]`; nothing where there is none.

    Args:
        metrics: metrics that hold the number.
        key: key of the number.
        number: format of both ends.
    """
    if f"{key}_low" not in metrics:
        return ""
    low, high = (number.format(metrics[f"{key}_{end}"]) for end in ("low", "high"))
    return f" [{low}, {high}]"


def format_louder(gain: float) -> str:
    """Write by how many dB louder a change must be, or how much fainter it may be."""
    return f"{gain:.1f} dB louder" if gain >= 0 else f"{-gain:.1f} dB fainter"
