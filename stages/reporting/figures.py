"""Pictures for plots and the report: drawings as SVG, spectrograms as PNG, of equal bytes for equal numbers."""

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.image import imsave

Image = npt.NDArray[np.floating]

INK, FAINT, ACCENT = "#202124", "#8b8d91", "#0b7a75"
"""Colours of text, of the baseline and of the hardened model; the page turns the first and the last into its own."""

PAPER = "#ffffff"
"""Colour below a drawing that stands alone: on a dark page its ink could not be read."""

COLOURS = {"baseline": FAINT, "hardened": ACCENT}
DASHES = {"baseline": (0, (4, 2)), "hardened": "solid"}

LABELS = {
    "worst_linf": "worst case, L∞",
    "worst_l2": "worst case, L2",
    "worst_l1": "worst case, L1",
    "worst_snr": "worst case",
    "untargeted": "any wrong class",
    "noise": "any wrong class, by white noise",
}
"""Words for the columns of tables that are no attack's."""

MARK: Any = {"marker": "|", "s": 60, "alpha": 0.45, "linewidths": 0.8}
"""Style of the mark of a clip: faint, since many lie upon each other."""

SHARES = LinearSegmentedColormap.from_list("shares", [to_rgba(ACCENT, 0.07), to_rgba(ACCENT, 1.0)])
"""Colour map of a matrix, from nearly transparent: it lies on light and on dark paper."""
DIFFERENCES = "RdBu_r"
SPECTRUM = "magma"
UNSTAMPED: Any = {"Date": None, "Creator": None}
"""Metadata of an SVG without what differs between equal drawings."""

UNNAMED: Any = {"Software": None}
"""Metadata of a PNG without what differs between equal pictures."""

MOST_NAMED = 15
"""Largest number of classes whose names fit beside a matrix."""

matplotlib.rcParams.update(
    {
        "svg.hashsalt": "soundproof",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": INK,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "axes.titlesize": 9,
        "axes.titlecolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
    }
)


def fooling(curves: Mapping[str, pd.DataFrame], budgets: Mapping[str, float]) -> str:
    """Draw the share of images moved over the budget as an SVG, one panel each, the models overlaid.

    Args:
        curves: curves by model, with a column `budget` and one for each panel.
        budgets: the budget that the rates are reported at, by panel; a panel without attacks has none.
    """
    first = next(iter(curves.values()))
    names, ends = [column for column in first.columns if column != "budget"], (first.budget.min(), first.budget.max())
    figure, panels = _panels(names)
    for panel, name in zip(panels, names, strict=True):
        # First, so that a panel of nothing but gaps has ends too.
        panel.set(title=labelled(name), xlabel="budget", xscale="log", xlim=ends, ylim=(-0.02, 1.02))
        for model, curve in curves.items():
            panel.semilogx(curve.budget, curve[name], color=COLOURS[model], linestyle=DASHES[model], label=model)
        if name in budgets:
            panel.axvline(budgets[name], color=FAINT, linestyle=":", linewidth=1)
    panels[0].set_ylabel("share of the clips")
    panels[0].legend(frameon=False, fontsize=8, loc="upper left")
    return _svg(figure)


def snr(curves: Mapping[str, pd.DataFrame], budget: float) -> str:
    """Draw the share of sounds moved over the signal-to-noise ratio as an SVG, one panel each, the models overlaid.

    Args:
        curves: curves by model, with a column `snr`, in dB, and one for each panel.
        budget: the ratio that the rates are reported at, in dB.
    """
    names = [column for column in next(iter(curves.values())).columns if column != "snr"]
    figure, panels = _panels(names)
    for panel, name in zip(panels, names, strict=True):
        for model, curve in curves.items():
            panel.plot(curve.snr, curve[name], color=COLOURS[model], linestyle=DASHES[model], label=model)
        panel.axvline(budget, color=FAINT, linestyle=":", linewidth=1)
        panel.set(title=labelled(name), xlabel="SNR, dB", xlim=(curve.snr.max(), curve.snr.min()), ylim=(-0.02, 1.02))
    panels[0].set_ylabel("share of the clips")
    panels[0].legend(frameon=False, fontsize=8, loc="upper left")
    return _svg(figure)


def costs(tables: Mapping[str, pd.DataFrame], attacks: Sequence[str]) -> str:
    """Draw the cost of each clip as an SVG, one row per attack and model: one mark per clip, a bar at the median.

    Args:
        tables: costs by model, one row per eligible clip, one column per attack, empty where it failed.
        attacks: the columns to draw.
    """
    figure = Figure(figsize=(7, 0.7 * len(attacks) + 0.7), layout="constrained")
    axes = figure.subplots()
    for row, attack in enumerate(attacks):
        for model, offset in (("baseline", 0.18), ("hardened", -0.18)):
            values, height = tables[model][attack], -row + offset
            fooled = values.dropna()
            axes.scatter(fooled, np.full(len(fooled), height), **MARK, color=COLOURS[model], label=model)
            if len(fooled) * 2 >= len(values) > 0:
                median = values.fillna(np.inf).quantile(0.5, interpolation="lower")
                axes.plot([median] * 2, [height - 0.16, height + 0.16], color=INK, linewidth=2)
            failed = f"{len(values) - len(fooled)} not fooled" if len(fooled) < len(values) else ""
            axes.annotate(failed, (1, height), xycoords=("axes fraction", "data"), va="center", fontsize=7)
    axes.set(
        xscale="log",
        xlabel="cost",
        xlim=(min([5e-4, *(0.8 * table[list(attacks)].min().min() for table in tables.values())]), 1),
        yticks=range(0, -len(attacks), -1),
        yticklabels=[labelled(name) for name in attacks],
    )
    axes.tick_params(left=False)
    models, names = axes.get_legend_handles_labels()
    axes.legend(models[:2], names[:2], frameon=False, fontsize=8, loc="upper left")
    return _svg(figure)


def training(curves: Mapping[str, pd.DataFrame]) -> str:
    """Draw the accuracy on training and validation clips over the epochs as an SVG, one panel per model."""
    figure, panels = _panels(list(curves))
    for panel, (model, curve) in zip(panels, curves.items(), strict=True):
        panel.plot(curve.epoch, curve.accuracy, color=FAINT, label="training")
        panel.plot(curve.epoch, curve.validation_accuracy, color=INK, label="validation")
        panel.plot(curve.epoch, curve.validation_score, color=ACCENT, linestyle=":", label="score that chooses")
        panel.set(title=model, xlabel="epoch", ylim=(None, 1.02))
    panels[0].set_ylabel("accuracy")
    panels[-1].legend(frameon=False, fontsize=8, loc="lower right")
    return _svg(figure)


def matrices(matrices: Mapping[str, pd.DataFrame], rows: str, columns: str, reach: float = 1.0) -> str:
    """Draw matrices as an SVG, one panel each, blank where there is no number.

    Args:
        matrices: matrices by title, labelled by class, with numbers in [0, reach].
        rows: name of the rows' axis.
        columns: name of the columns' axis.
        reach: upper end of the colours, the same for all, so that panels compare.
    """
    size = 3.2
    figure = Figure(figsize=(size * len(matrices) + 0.8, size + 0.6), layout="constrained")
    panels = figure.subplots(1, len(matrices), squeeze=False, sharey=True)[0]
    for panel, (title, matrix) in zip(panels, matrices.items(), strict=True):
        image = panel.imshow(matrix.to_numpy(np.float64), cmap=SHARES, vmin=0, vmax=reach, aspect="equal")
        panel.set(title=title, xlabel=columns)
        _name_classes(panel, list(matrix.columns))
        figure.colorbar(image, ax=panel, shrink=0.7).outline.set_visible(False)
    panels[0].set_ylabel(rows)
    return _svg(figure)


def _name_classes(panel: Axes, names: list[str]) -> None:
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
    if len(names) > MOST_NAMED:
        panel.set(xticks=[], yticks=[])
        return
    panel.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
    panel.set_yticks(range(len(names)), names, parse_math=False)


def labelled(attack: str) -> str:
    """Put the name of a worst case into words; leave an attack's name as it is."""
    return LABELS.get(attack, attack)


def spectrogram(image: Image) -> bytes:
    """Draw an image in [0, 1] as a PNG, low frequencies at the bottom."""
    return _picture(colormaps[SPECTRUM](image))


def difference(delta: Image, reach: float) -> bytes:
    """Draw a difference in [-reach, reach] as a PNG, white where there is none."""
    return _picture(colormaps[DIFFERENCES](0.5 + delta / (2 * reach)))


def _picture(colours: npt.NDArray[np.floating]) -> bytes:
    buffer = BytesIO()
    imsave(buffer, colours[:, :, :3], origin="lower", format="png", metadata=UNNAMED)
    return buffer.getvalue()


def contact_sheet(
    clean: Image, label: str, budgets: Sequence[float], rows: Mapping[str, Sequence[tuple[Image, str]]]
) -> bytes:
    """Draw a PNG of the clip, the example of each attack within each budget, and below each example the difference.

    Args:
        clean: image of the clip, shape (height, width), in [0, 1].
        label: class of the clip.
        budgets: budgets, one per column.
        rows: images by attack, with the classes that they are taken for, one per budget, or none.
    """
    lines = max(len(rows), 1)
    figure = Figure(figsize=(1.9 * (len(budgets) + 1), 3.4 * lines), layout="constrained")
    axes = figure.subplots(2 * lines, len(budgets) + 1, squeeze=False)
    for panel in axes.flat:
        panel.set_axis_off()
    _draw(axes[0][0], clean, label, cmap=SPECTRUM, vmin=0, vmax=1)
    for number, (attack, examples) in enumerate(rows.items()):
        upper, lower = axes[2 * number], axes[2 * number + 1]
        _draw(upper[0], clean, f"{attack}: {label}", cmap=SPECTRUM, vmin=0, vmax=1)
        for column, ((image, verdict), budget) in enumerate(zip(examples, budgets, strict=False), 1):
            _draw(upper[column], image, f"{budget:g} → {verdict}", cmap=SPECTRUM, vmin=0, vmax=1)
            _draw(lower[column], image - clean, "", cmap=DIFFERENCES, vmin=-budget, vmax=budget)
        if not examples:
            upper[1].text(0, 0.5, "not fooled at any size, or not attacked", va="center")
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=80, metadata=UNNAMED)
    return buffer.getvalue()


def _draw(panel: Axes, image: Image, title: str, **limits: Any) -> None:
    panel.imshow(image, origin="lower", aspect="auto", interpolation="nearest", **limits)
    panel.set_title(title, parse_math=False)


def _panels(titles: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Make small multiples, at most four in a row, with one scale upwards."""
    lines = -(-len(titles) // 4)
    columns = -(-len(titles) // lines)
    figure = Figure(figsize=(2.5 * columns + 0.4, 2.2 * lines + 0.3), layout="constrained")
    panels = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for panel in panels[len(titles) :]:
        panel.set_axis_off()
    for panel in panels:
        panel.grid(color=FAINT, alpha=0.25, linewidth=0.5)
    return figure, panels[: len(titles)]


def _svg(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata=UNSTAMPED)
    return buffer.getvalue().decode()


def standing_alone(svg: str) -> str:
    """Put a drawing on paper of its own, for wherever it may be shown; the page has paper, light or dark."""
    return re.sub(r"(<svg\b[^>]*>)", rf'\1\n <rect width="100%" height="100%" fill="{PAPER}"/>', svg, count=1)
