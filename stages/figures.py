"""Pictures for the metrics and the report."""

from collections.abc import Mapping
from io import BytesIO

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.stores import Adversarial

matplotlib.rcParams["svg.hashsalt"] = "soundproof"

EXAMPLES = 2
"""Clips shown for each attack."""


def examples(stores: Mapping[str, Adversarial], classes: tuple[str, ...]) -> bytes:
    """A PNG: for each attack a few clips, their adversarial versions and the differences.

    Shown are the clips that every attack fooled, at the median cost first; where there is no such clip, each attack's
    own.
    """
    rows = [(name, store, row) for name, store in stores.items() for row in _chosen(store, stores)]
    figure = Figure(figsize=(9, 2.2 * max(len(rows), 1)), layout="constrained")
    axes = figure.subplots(max(len(rows), 1), 3, squeeze=False)
    for panels, (name, store, row) in zip(axes, rows, strict=False):
        clean, adversarial = store.clean[row, 0], store.adversarial[row, 0]
        label, target = classes[store.label[row]], classes[store.target[row]]
        titles = [
            label,
            f"{name}: {target}",
            f"difference, max {store.size_linf[row]:.3f} ({80 * store.size_linf[row]:.1f} dB)",
        ]
        reach = max(float(store.size_linf[row]), 1e-6)
        for panel, image, title in zip(panels, [clean, adversarial, adversarial - clean], titles, strict=True):
            difference = title is titles[2]
            limits = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach} if difference else {"vmin": 0, "vmax": 1}
            panel.imshow(image, origin="lower", aspect="auto", interpolation="nearest", **limits)
            panel.set_title(title, fontsize=9)
            panel.set_axis_off()
    if not rows:
        axes[0, 1].text(0.5, 0.5, "no clip was fooled", ha="center")
    return _png(figure)


def _chosen(store: Adversarial, stores: Mapping[str, Adversarial]) -> list[int]:
    everywhere = np.all([each.success for each in stores.values()], axis=0)
    rows = np.flatnonzero(everywhere if everywhere.any() else store.success)
    ordered = rows[np.argsort(store.label[rows], kind="stable")]
    spread = np.linspace(0, max(len(ordered) - 1, 0), min(EXAMPLES, len(ordered)))
    chosen: list[int] = ordered[spread.astype(int)].tolist()
    return chosen


def overlaid(curves: Mapping[str, pd.DataFrame], eps: float) -> bytes:
    """A PNG of fooling rate over budget, a panel an attack, the models overlaid.

    Args:
        curves: by model, with a column `budget` and one for each attack.
        eps: the budget that the rates are reported at.
    """
    names = [column for column in next(iter(curves.values())).columns if column != "budget"]
    figure = Figure(figsize=(3 * len(names), 2.8), layout="constrained")
    for panel, name in zip(figure.subplots(1, len(names), sharey=True, squeeze=False)[0], names, strict=True):
        for model, curve in curves.items():
            panel.semilogx(curve.budget, curve[name], label=model)
        panel.axvline(eps, color="grey", linestyle=":", linewidth=1)
        panel.set(title=name, xlabel="budget", ylim=(-0.02, 1.02))
        panel.grid(alpha=0.3)
    figure.axes[0].set_ylabel("fooling rate")
    figure.axes[0].legend(fontsize=8)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=80, metadata={"Software": None})
    return buffer.getvalue()
