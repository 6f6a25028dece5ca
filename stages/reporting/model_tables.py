"""The tables behind a model's metrics."""

import numpy as np
import pandas as pd

from stages.evaluation import checks, rates
from stages.evaluation.assessment import Evaluation
from stages.evaluation.checks import RULES, SIZES


def of_model(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """Make the tables of rates, fooling curves, costs, checks, confusion, classes and targets, by name."""
    metrics, found, eps = evaluation.metrics, evaluation.stores, evaluation.eps
    names, first = np.array(evaluation.classes), next(iter(found.values()))
    source, target = names[first.label], names[first.target]
    costs = {name: each.cost for name, each in found.items()}
    costs |= {name: checks.worst(found, size) for name, size in SIZES.items()}
    clips = {"clip": first.clip, "source": source, "target": target}
    return {
        "rates": pd.DataFrame([{"attack": name, **values} for name, values in metrics["adaptive"].items()]),
        "fooling": rates.curves(costs, first.eligible),
        "costs": _finite(pd.DataFrame({**clips, **costs})[first.eligible]),
        "checks": pd.DataFrame(
            [
                (name, value, metrics["check_figures"][name])
                for name, value in metrics["checks"].items()
                if name in RULES
            ],
            columns=["check", "holds", "figure"],
        ),
        "confusion": pd.DataFrame({"actual": source, "predicted": names[evaluation.predicted]}),
        "class_targets": rates.class_targets(costs["worst_linf"], first.eligible, source, target, eps),
    }


def _finite(table: pd.DataFrame) -> pd.DataFrame:
    """Empty the cells where a clip was not fooled, so that no table holds infinity."""
    return table.replace(np.inf, np.nan)
