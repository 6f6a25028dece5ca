"""Attacks through a surrogate: what fools one model of the grid, shown to every other one.

The surrogates are the grid's own models: give `grid.architecture` a second network, and each is attacked through the
other (Papernot, McDaniel, Goodfellow 2016).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from stages.core import device
from stages.core.arrays import Flags
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.grid import MODELS, GridParams
from stages.core.paths import CellPaths
from stages.evaluation import rates
from stages.models import checkpoints
from stages.models.victim import Victim, predictions
from stages.stores.adversarial import Adversarial, read_adversarial, read_domain

COLUMNS = [
    "pair",
    "representation",
    "fold",
    "source",
    "model",
    "clips",
    "fooling_rate",
    "fooling_rate_low",
    "fooling_rate_high",
]


def transfer_matrix(grid: GridParams, compute: ComputeParams, recordings: Mapping[str, str]) -> pd.DataFrame:
    """Replay the cheapest examples that fooled each model, of any size, on every other of its representation and fold.

    Only clips count that the other model gets right. The transfer is from model to model, so a row's `source` and
    `model` are names such as `resnet56_hardened`; its `pair` names all of it, for plots.

    Args:
        grid: the cells and attacks.
        compute: how the models are run.
        recordings: the recording of each clip that some model gets right.

    Raises:
        InputError: a store or a model is missing or damaged.
    """
    device.make_deterministic()
    rows = [
        {"pair": f"{row['source']} to {row['model']}, {representation}, fold {fold}"}
        | {"representation": representation, "fold": fold, **row}
        for representation in grid.representation
        for fold in grid.fold
        for row in _replays(
            [CellPaths(representation, name, fold) for name in grid.architecture], grid.attack, compute, recordings
        )
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _replays(
    cells: Sequence[CellPaths], attacks: Sequence[str], compute: ComputeParams, recordings: Mapping[str, str]
) -> Iterator[dict[str, object]]:
    """Yield the rows of some cells with the same representation and fold."""
    found = {(cell, model): _read(cell, model, attacks) for cell in cells for model in MODELS}
    if not any(found.values()):
        return
    first = next(iter(found.values()))
    for (cell, model), stores in found.items():
        _require_same_clips(cell, model, stores, first)
    for (cell, model), own in found.items():
        network, _ = checkpoints.load(cell.model(model), f"run `dvc repro {cell.writer(model)}`")
        victim = Victim(network, compute)
        eligible = next(iter(own.values())).eligible
        for (source, name), stores in found.items():
            if (source, name) != (cell, model):
                names = {"source": f"{source.architecture}_{name}", "model": f"{cell.architecture}_{model}"}
                yield {**names, **replayed(victim, stores, eligible, recordings)}


def _read(cell: CellPaths, model: str, attacks: Sequence[str]) -> dict[str, Adversarial]:
    """Read the stores of the attacks on images: a model of another representation hears other sounds as such."""
    places = {name: (cell.attack(model, name), cell.stage("attack", name)) for name in attacks}
    return {name: read_adversarial(*place) for name, place in places.items() if read_domain(*place) == "image"}


def _require_same_clips(
    cell: CellPaths, model: str, stores: Mapping[str, Adversarial], own: Mapping[str, Adversarial]
) -> None:
    first = next(iter(own.values()))
    for name, store in stores.items():
        if not (np.array_equal(store.clip, first.clip) and np.array_equal(store.target, first.target)):
            stage = cell.stage("attack", name)
            raise InputError(f"{cell.attack(model, name)} holds other clips or targets; run `dvc repro {stage}`")


def replayed(
    victim: Victim, source: Mapping[str, Adversarial], eligible: Flags, recordings: Mapping[str, str]
) -> dict[str, float]:
    """Show a model the cheapest examples, in L-infinity, that fooled another one.

    Args:
        victim: the model that the examples are shown to.
        source: adversarial stores of the other model, by attack.
        eligible: clips that the victim gets right, shape (N,).
        recordings: the recording of each of these clips.

    Returns:
        `clips`, and `fooling_rate` with its interval: the share that reaches its target.
    """
    stores = list(source.values())
    cheapest = np.argmin([np.where(store.success, store.sizes["linf"], np.inf) for store in stores], axis=0)
    rows = np.flatnonzero(np.any([store.success for store in stores], axis=0) & eligible)
    images = np.array([stores[cheapest[row]].adversarial[row] for row in rows], np.float32)
    fooled = predictions(victim, images) == stores[0].target[rows]
    groups = np.array([recordings[clip] for clip in stores[0].clip[rows]], np.str_)
    return {"clips": len(rows), **rates.rate("fooling_rate", fooled, groups)}
