"""The metrics of one model: rates and costs, in both domains."""

import numpy as np

from stages.core.arrays import Flags, Floats
from stages.evaluation import rates
from stages.evaluation.attacked import Attacked
from stages.models.victim import predictions
from stages.stores.adversarial import Adversarial
from stages.stores.perturbations import decibels


def clean(attacked: Attacked) -> dict[str, float]:
    """Compute the accuracy on clean clips, with its interval."""
    return {"clips": len(attacked.inputs), **rates.rate("accuracy", attacked.correct, attacked.groups)}


def adaptive(attacked: Attacked) -> dict[str, dict[str, float]]:
    """Compute the metrics of each targeted attack, and of the cheapest example of all attacks in each norm."""
    budgets, kinds, groups = attacked.budgets, attacked.kinds, attacked.groups
    metrics = {
        name: rates.fooling(store.cost, store.eligible, budgets[kinds[name].priced_in], groups)
        | effort(store)
        | sparseness(store)
        for name, store in attacked.stores.items()
    }
    if metrics:
        for name, norm in attacked.norms.items():
            metrics[name] = rates.fooling(attacked.worst(norm), attacked.correct, budgets[norm], groups)
    return metrics


def adaptive_in_sound(attacked: Attacked) -> dict[str, dict[str, float]]:
    """Compute the same for sounds, and costs in dB: signal-to-noise ratios, peaks, and the level above the masking."""
    levels = {name: _levels(store) for name, store in attacked.stores.items()}
    return {name: values | rates.loudness(values) | levels.get(name, {}) for name, values in adaptive(attacked).items()}


def _levels(store: Adversarial) -> dict[str, float]:
    """Compute medians over the clips that were fooled: dB_x, and the level above the masking threshold, in dB."""
    sizes = {"peak_db_median": store.sizes["peak"], "masking_db_median": store.sizes["masking"]}
    medians = {name: float(np.median(each[store.success])) for name, each in sizes.items() if store.success.any()}
    return {name: -decibels(median) for name, median in medians.items()}


def effort(store: Adversarial) -> dict[str, float]:
    """Compute the effort of an attack: queries per clip, and how its tuning ended, if it was tuned."""
    taken = {"queries": round(float(store.queries[store.eligible].mean()), 1)} if store.eligible.any() else {}
    if not store.attributes["tuning_clips"]:
        return taken
    fall = {"tuning_fall": float(store.attributes["tuning_fall"])} if "tuning_fall" in store.attributes else {}
    return taken | fall | {name: int(store.attributes[name]) for name in ("levels", "reached", "converged")}


def sparseness(store: Adversarial) -> dict[str, float]:
    """Compute the median share of bins that an attack in L1 changed of the clips that it fooled (L0)."""
    if store.attributes["norm"] != "l1" or not store.success.any():
        return {}
    return {"l0_median": float(np.median(store.sizes["l0"][store.success]))}


def untargeted_image(attacked: Attacked, sizes: Floats, training_eps: float | None) -> dict[str, float]:
    """Compute how many images stay in their class, whatever is done to them within the L-infinity budgets.

    Args:
        attacked: the model, with its test clips.
        sizes: smallest size known with which each clip leaves its class, shape (N,).
        training_eps: budget that the hardened model was trained at, if there is one.
    """
    found = _robustness(attacked, sizes[attacked.correct] <= attacked.budget)
    if training_eps is None or not len(sizes):
        return found
    return found | rates.rate("robust_accuracy_at_training_eps", sizes > training_eps, attacked.groups)


def untargeted_sound(attacked: Attacked, ratios: Floats) -> dict[str, float]:
    """Compute how many sounds stay in their class within the budget, and at which median SNR they leave it."""
    costs = ratios[attacked.correct]
    found = _robustness(attacked, costs <= attacked.budget)
    if not len(costs):
        return found
    medians = rates.loudness(rates.cost_quantiles(costs, attacked.groups[attacked.correct]))
    return found | {name: value for name, value in medians.items() if name.startswith("snr_median")}


def _robustness(attacked: Attacked, moved: Flags) -> dict[str, float]:
    """Compute the share of all clips that are right and stay so, and of those that are right the share that does not.

    Args:
        attacked: the model in one domain.
        moved: which of the clips that it gets right can be moved out of their class.
    """
    held = attacked.correct.copy()
    held[held] = ~moved
    robust = rates.rate("robust_accuracy", held, attacked.groups)
    return {"eligible": len(moved), **robust, **rates.rate("error_rate", moved, attacked.groups[attacked.correct])}


def transferred(attacked: Attacked) -> dict[str, dict[str, float]]:
    """Replay the baseline's examples within the budget on the model; clips without one are replayed clean."""
    inputs, metrics = attacked.inputs, {}
    target, predicted = inputs.targets.numpy(), predictions(attacked.victim, inputs.clean.numpy())
    for name, store in attacked.baseline.items():
        within = store.success & (store.cost <= attacked.budgets[attacked.kinds[name].priced_in])
        verdict = predicted.copy()
        verdict[within] = attacked.predicted(store, within)
        fooled = (verdict == target)[attacked.correct]
        metrics[name] = rates.rate("fooling_rate", fooled, attacked.groups[attacked.correct])
    return metrics
