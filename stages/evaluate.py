"""Stage `evaluate`: the metrics of one model of a cell, and the tables and pictures behind them."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from stages import cards, checkpoints, checks, console, figures, files, params, paths, robustness, stores, trials
from stages.attacks import AttackParams
from stages.grid import Names
from stages.paths import Cell
from stages.prediction import Victim
from stages.stores import Adversarial, Features, Integers

WORST = {"worst_linf": "size_linf", "worst_l2": "size_l2"}

Stores = Mapping[str, Adversarial]


def main(representation: str, architecture: str, fold: str, victim: str) -> None:
    """Write the metrics, the tables and pictures for plots, and the model card."""
    eps: float = params.read("attack", AttackParams).eps
    names: list[str] = params.read("grid.attack", Names)
    trial = trials.begin(representation, architecture, fold)
    cell, store, test = trial.cell, trial.store, trial.split.test
    model = trial.victim(victim)
    predicted = predictions(model, store.features[test])
    found = {name: read_attack(cell, victim, name) for name in names}
    metrics: dict[str, Any] = {
        "clean": clean(predicted, store.labels[test]),
        "adaptive": adaptive(found, predicted == store.labels[test], eps),
    }
    if victim != "baseline":
        replayed = {name: read_attack(cell, "baseline", name) for name in names}
        metrics["transferred"] = transferred(model, replayed, predicted, eps)
    verdicts, again = ({name: predictions(model, each.adversarial) for name, each in found.items()} for _ in range(2))
    metrics["checks"] = checks.run(found, verdicts, again)
    write_plots(cell, victim, metrics, found, store, predicted, test)
    with files.replacing(cell.metrics(victim)) as partial:
        partial.write_text(json.dumps(metrics, indent=2, sort_keys=True, allow_nan=False) + "\n")
    facts, terms = checkpoints.metadata(cell.model(victim)), paths.TERMS.read_text(encoding="utf-8")
    with files.replacing(cell.card(victim)) as partial:
        partial.write_text(cards.text(cell, victim, facts, metrics, terms, eps), encoding="utf-8")


def read_attack(cell: Cell, victim: str, attack: str) -> Adversarial:
    """The adversarial store of an attack on a victim of the cell."""
    return stores.read_adversarial(cell.attack(victim, attack), cell.stage("attack", victim, attack))


def predictions(victim: Victim, images: stores.Images) -> Integers:
    """Predicted classes, shape (N,)."""
    classes: Integers = victim.predict(torch.from_numpy(images)).cpu().numpy()
    return classes


def clean(predicted: Integers, labels: Integers) -> dict[str, float]:
    """Accuracy with its interval."""
    hits = int((predicted == labels).sum())
    low, high = robustness.wilson(hits, len(labels))
    return {"accuracy": hits / len(labels), "accuracy_low": low, "accuracy_high": high, "clips": len(labels)}


def adaptive(found: Stores, correct: np.ndarray[Any, np.dtype[np.bool_]], eps: float) -> dict[str, dict[str, float]]:
    """The metrics of each attack, and of the cheapest example of all in each norm."""
    metrics = {
        name: robustness.fooling_rates(store.cost, correct, store.eligible, eps)
        | {"seconds": round(float(store.attributes["seconds"]), 1)}
        for name, store in found.items()
    }
    eligible = next(iter(found.values())).eligible
    for name, size in WORST.items():
        seconds = round(sum(metrics[attack]["seconds"] for attack in found), 1)
        metrics[name] = robustness.fooling_rates(worst(found, size), correct, eligible, eps) | {"seconds": seconds}
    return metrics


def worst(found: Stores, size: str) -> stores.Images:
    """Per clip the smallest size over the successful examples of every attack, infinite where there is none."""
    sizes = [np.where(store.success, getattr(store, size), np.inf) for store in found.values()]
    smallest: stores.Images = np.min(sizes, axis=0).astype(np.float32)
    return smallest


def transferred(victim: Victim, replayed: Stores, predicted: Integers, eps: float) -> dict[str, dict[str, float]]:
    """The baseline's examples within the budget, replayed on the victim; clips without one are replayed clean."""
    metrics = {}
    for name, store in replayed.items():
        within = store.success & (store.cost <= eps)
        images = np.where(within[:, None, None, None], store.adversarial, store.clean)
        verdict = predictions(victim, images)
        eligible = predicted == store.label
        rates = {"robust_accuracy": float((verdict == store.label).mean())}
        if eligible.any():
            rates["fooling_rate"] = float((verdict[eligible] == store.target[eligible]).mean())
        metrics[name] = rates
    return metrics


def write_plots(
    cell: Cell,
    victim: str,
    metrics: dict[str, Any],
    found: Stores,
    store: Features,
    predicted: Integers,
    test: Integers,
) -> None:
    """Write the rates as a table, the fooling curves, the confusion of classes and example pictures."""
    folder = cell.plots(victim)
    costs = {name: each.cost for name, each in found.items()} | {
        name: worst(found, size) for name, size in WORST.items()
    }
    eligible = next(iter(found.values())).eligible
    names = np.array(store.classes)
    confusion = pd.DataFrame({"actual": names[store.labels[test]], "predicted": names[predicted]})
    rates = [{"attack": name, **values} for name, values in metrics["adaptive"].items()]
    tables = {"rates": pd.DataFrame(rates), "fooling": fooling_curves(costs, eligible), "confusion": confusion}
    for name, table in tables.items():
        with files.replacing(folder / f"{name}.csv") as partial:
            table.to_csv(partial, index=False, lineterminator="\n", float_format="%.6g")
    with files.replacing(folder / "examples.png") as partial:
        partial.write_bytes(figures.examples(found, store.classes))


def fooling_curves(costs: Mapping[str, np.ndarray[Any, Any]], eligible: np.ndarray[Any, Any]) -> pd.DataFrame:
    """Share of the eligible clips fooled within each budget, a column an attack; each in the attack's own norm."""
    budgets = np.geomspace(0.001, 1, 49)
    count = max(int(eligible.sum()), 1)
    curves = {name: [(cost[eligible] <= budget).sum() / count for budget in budgets] for name, cost in costs.items()}
    return pd.DataFrame({"budget": budgets, **curves})


if __name__ == "__main__":
    console.run(main)
