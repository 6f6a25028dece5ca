"""One attack towards every wrong class of each clip, where the other numbers aim at one that is drawn."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from stages.attacks.base.inputs import AttackInputs
from stages.core.arrays import Strings
from stages.evaluation import rates
from stages.evaluation.results import Metrics
from stages.stores.adversarial import Adversarial


def towards_each(inputs: AttackInputs, classes: int) -> AttackInputs:
    """Repeat each clip once for every class but its own, and aim it there.

    Args:
        inputs: N clips.
        classes: number of classes, >= 2.

    Returns:
        N * (classes - 1) clips; those of one clip stand together.
    """
    others = torch.arange(1, classes)
    repeated = inputs[torch.arange(len(inputs)).repeat_interleave(len(others))]
    return replace(repeated, targets=(repeated.labels + others.repeat(len(inputs))) % classes)


def tabulate(found: Adversarial, recordings: Strings, classes: Sequence[str]) -> pd.DataFrame:
    """Tabulate what an attack found for each clip and target.

    Args:
        found: the attack on clips as `towards_each` has them; its costs are infinite where it failed.
        recordings: recording of each of them.
        classes: names of the classes.

    Returns:
        the columns `clip`, `recording`, `class`, `target`, `cost`, `queries`, a row a clip and target.
    """
    names = np.array(classes)
    columns = {
        "clip": found.clip,
        "recording": recordings,
        "class": names[found.label],
        "target": names[found.target],
        "cost": found.cost,
        "queries": found.queries,
    }
    return pd.DataFrame(columns)


def compare(table: pd.DataFrame, budget: float) -> dict[str, Metrics]:
    """Compute what the easiest class of each clip costs, and what all of them cost on average.

    Args:
        table: a table of `tabulate`.
        budget: the budget, in the norm of the costs.

    Returns:
        of `easiest` and of `mean`: `clips`, `fooling_rate` within the budget, `cost_median`. Those of `mean` are of
        each clip's share of classes that were reached, and of its mean cost, infinite where one is out of reach.
    """
    clips = table.assign(within=table["cost"] <= budget).groupby("clip", sort=False)
    groups = clips["recording"].first().to_numpy(np.str_)
    found = {
        "easiest": (clips["within"].max(), clips["cost"].min()),
        "mean": (clips["within"].mean(), clips["cost"].mean()),
    }
    return {
        name: {"clips": len(groups)}
        | rates.rate("fooling_rate", within.to_numpy(np.float64), groups)
        | (rates.quantile_metrics("cost_median", cost.to_numpy(), 0.5, groups) if len(groups) else {})
        for name, (within, cost) in found.items()
    }
