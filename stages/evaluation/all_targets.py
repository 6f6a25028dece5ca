"""One attack towards every wrong class of each clip, where the other numbers aim at one that is drawn."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from stages.attacks.base import AttackParams
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.prepare import starting_points
from stages.attacks.base.run import AttackRun
from stages.core.arrays import Strings
from stages.core.errors import InputError
from stages.evaluation import rates
from stages.evaluation.attacked import Attacked
from stages.evaluation.results import Metrics
from stages.models.cell import Cell
from stages.stores.adversarial import Adversarial


def attack_all(cell: Cell, model: str, attacked: Attacked, name: str, settings: AttackParams) -> pd.DataFrame:
    """Attack each test clip that a model gets right towards every other class.

    Args:
        cell: the cell.
        model: `baseline` or `hardened`.
        attacked: the model, with what the attack found of the drawn targets: its strength is used again.
        name: name of the attack.
        settings: what all attacks share.

    Returns:
        a row for each clip and target, with the columns `clip`, `recording`, `class`, `target`, `cost` (infinite where
        the attack failed) and `queries`.

    Raises:
        InputError: the model gets no test clip right.
    """
    if not attacked.correct.any():
        raise InputError(f"the {model} model of {cell.paths} gets no test clip right: there is none to attack")
    attack, classes, parts = attacked.kinds[name], cell.features.classes, []
    points = starting_points(cell, attacked.victim, attack, attacked.domain)
    for offset in range(1, len(classes)):
        run = AttackRun(
            what=f"{name} on the {model} model, {cell.paths}, class {offset} of {len(classes) - 1}",
            victim=attacked.victim,
            inputs=aimed_beside(attacked.inputs.eligible_only(), offset, len(classes)).starting_from(points),
            attack=attack,
            search=settings.search.starting_at(attack.first_budget(settings)),
        )
        parts.append(tabulate(run.adversarial({}), attacked.groups[attacked.correct], classes))
        run.done()
    return pd.concat(parts, ignore_index=True)


def aimed_beside(inputs: AttackInputs, offset: int, classes: int) -> AttackInputs:
    """Aim each clip at the class that stands so many behind its own, in [1, classes), counted round."""
    return replace(inputs, targets=(inputs.labels + offset) % classes)


def tabulate(found: Adversarial, recordings: Strings, classes: Sequence[str]) -> pd.DataFrame:
    """Tabulate what an attack found of one target a clip.

    Args:
        found: what it found of N clips; its costs are infinite where it failed.
        recordings: recordings of the clips, shape (N,).
        classes: names of the classes.

    Returns:
        the columns that `attack_all` tells of.
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
        table: a table of `attack_all`.
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
        | rates.quantile_metrics("cost_median", cost.to_numpy(), 0.5, groups)
        for name, (within, cost) in found.items()
    }
