"""What one model of a cell is worth: clean, attacked, against what was crafted for others, and by ear."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from stages.attacks import Attack
from stages.audio import AudioParams
from stages.crafting import Case
from stages.evaluation import checks, listening, probes, rates
from stages.evaluation.checks import SIZES, Stores
from stages.evaluation.listening import Heard
from stages.prediction import Victim
from stages.representations import Representation
from stages.stores import Adversarial, Images, Integers
from stages.trials import Trial


def predictions(victim: Victim, images: Images) -> Integers:
    """Predicted classes, shape (N,)."""
    if not len(images):
        return np.zeros(0, np.int64)
    classes: Integers = victim.predict(torch.from_numpy(images)).cpu().numpy()
    return classes


def clean(case: Case) -> dict[str, float]:
    """Accuracy with its interval."""
    return {"clips": len(case.label), **rates.rate("accuracy", case.eligible)}


def adaptive(found: Stores, case: Case, eps: float, seed: int) -> dict[str, dict[str, float]]:
    """The metrics of each attack, and of the cheapest example of all in each norm."""
    metrics = {
        name: rates.fooling(store.cost, case.eligible, store.eligible, eps, seed) | effort(store)
        for name, store in found.items()
    }
    seconds = round(sum(each["seconds"] for each in metrics.values()), 1)
    for name, size in SIZES.items():
        costs = checks.worst(found, size)
        metrics[name] = rates.fooling(costs, case.eligible, checks.eligible(found), eps, seed) | {"seconds": seconds}
    return metrics


def effort(store: Adversarial) -> dict[str, float]:
    """What an attack took: seconds in all, passes a clip, and how its tuning ended, if it was tuned."""
    taken = {"seconds": round(float(store.attributes["seconds"]), 1)}
    if store.eligible.any():
        taken["passes"] = round(float(store.queries[store.eligible].mean()), 1)
    if not store.attributes["tuning_clips"]:
        return taken
    return taken | {name: int(store.attributes[name]) for name in ("doublings", "reached", "converged")}


def untargeted(victim: Victim, found: Stores, case: Case, eps: float) -> dict[str, float]:
    """Share of the clips that leave their class within the budget, in L-infinity, by descents and by any attack."""
    moved = probes.moved(victim, case.clips(), torch.from_numpy(case.label[case.eligible]), eps)
    moved |= checks.worst(found, "size_linf")[case.eligible] <= eps
    return rates.rate("error_rate", moved)


def transferred(
    victim: Victim, baseline: Stores, case: Case, predicted: Integers, eps: float
) -> dict[str, dict[str, float]]:
    """The baseline's examples within the budget, replayed on the victim; clips without one are replayed clean."""
    metrics = {}
    for name, store in baseline.items():
        within = store.success & (store.cost <= eps)
        verdict = predicted.copy()
        verdict[within] = predictions(victim, store.adversarial[within])
        fooled = (verdict == case.target)[case.eligible]
        held = case.eligible & (verdict != case.target)
        metrics[name] = {"robust_accuracy": float(held.mean()), **rates.rate("fooling_rate", fooled)}
    return metrics


def replayed(victim: Victim, source: Stores, case: Case) -> dict[str, float]:
    """The cheapest examples that fooled another model, of any size, replayed on clips that the victim gets right."""
    cheapest = np.argmin([np.where(store.success, store.size_linf, np.inf) for store in source.values()], axis=0)
    fooled = np.any([store.success for store in source.values()], axis=0) & case.eligible
    every = np.stack([store.adversarial for store in source.values()])
    images = every[cheapest, np.arange(len(cheapest))][fooled]
    return {"clips": len(images), **rates.rate("fooling_rate", predictions(victim, images) == case.target[fooled])}


def hear(transform: Representation, sound: AudioParams, victim: Victim, found: Stores, case: Case) -> Heard:
    """Render the cheapest example, in L-infinity, of some of the fooled clips, and judge what becomes of it."""
    sizes = checks.worst(found, "size_linf")
    rows = listening.heard(np.flatnonzero(np.isfinite(sizes)))
    attack = [_cheapest(found, row) for row in rows]
    images = [found[name].adversarial[row, 0] for name, row in zip(attack, rows, strict=True)]
    renderings = list(listening.renderings(transform, sound, case.clip[rows], images))
    again = np.array([[each.image] for each in renderings], np.float32)
    verdicts = predictions(victim, again)
    return Heard(attack, renderings, verdicts, case.clip[rows], case.label[rows], case.target[rows])


def _cheapest(found: Stores, row: int) -> str:
    """The attack that fooled a clip with the smallest size in L-infinity."""
    return min((name for name in found if found[name].success[row]), key=lambda name: float(found[name].size_linf[row]))


def figures(
    trial: Trial,
    victim: Victim,
    case: Case,
    found: Stores,
    baseline: Stores,
    kinds: Mapping[str, Attack],
    metrics: Mapping[str, Any],
    eps: float,
) -> dict[str, float]:
    """The figure of every check that there is something to measure for."""
    verdicts = {name: predictions(victim, store.adversarial[store.success]) for name, store in found.items()}
    black_box = [name for name, kind in kinds.items() if kind.knowledge == "black box"]
    single_step = [name for name, kind in kinds.items() if "steps" not in type(kind).model_fields]
    others = np.concatenate([trial.split.train, trial.split.validation])
    measured = {
        **checks.of_stores(found, verdicts),
        **checks.of_attacks(found, single_step, black_box, eps),
        "eligible_confirmed": checks.ineligible(found, case.eligible),
        "nothing_tuned_on_test_clips": checks.leaked(trial.store.groups[trial.split.test], trial.store.groups[others]),
        **probes.of_model(victim, torch.from_numpy(case.images)),
    }
    if baseline and case.eligible.any():
        norms = {name: kind.norm for name, kind in kinds.items()}
        measured["transfer_not_stronger"] = checks.transfer_lead(found, metrics["transferred"], norms, eps)
    if case.eligible.any():
        clips, sizes = case.clips(), checks.worst(found, "size_linf")[case.eligible]
        measured |= probes.of_gradients(victim, clips)
        measured |= probes.of_effort(victim, clips, sizes, eps, 2 * most_steps(kinds.values()))
        alone = probes.of_steps(victim, clips, eps)["iterative_not_weaker"]
        measured["iterative_not_weaker"] = max(measured.get("iterative_not_weaker", 0.0), alone)
        grown = probes.of_budgets(victim, clips, eps)
        known = measured.get("unlimited_budget_fools", 0.0)
        measured |= grown | {"unlimited_budget_fools": max(known, grown["unlimited_budget_fools"])}
    return measured


def most_steps(kinds: Iterable[Attack]) -> int:
    """The most steps of the attacks that descend in L-infinity, as they were run; one where there is none."""
    return max((int(getattr(kind, "steps", 1)) for kind in kinds if kind.norm == "linf"), default=1)
