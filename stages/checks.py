"""Checks on an evaluation: signs that the numbers do not mean what they seem to."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stages import robustness
from stages.stores import Adversarial

BOUND_SLACK = 1e-6
"""Features are float32; so much beyond [0, 1] is rounding."""

Predictions = Mapping[str, npt.NDArray[np.int64]]


def run(stores: Mapping[str, Adversarial], predictions: Predictions, again: Predictions) -> dict[str, int]:
    """Each check by its name, 1 where it holds, and `passed`.

    Args:
        stores: adversarial stores of one victim, by attack.
        predictions: the victim's own verdicts on their adversarial clips, by attack.
        again: the same, a second time.
    """
    found = {
        "bounds_kept": all(_in_bounds(store) for store in stores.values()),
        "success_confirmed": all(_confirmed(store, predictions[name]) for name, store in stores.items()),
        "sizes_confirmed": all(_measured(store) for store in stores.values()),
        "same_targets": len({(store.clip.tobytes(), store.target.tobytes()) for store in stores.values()}) == 1,
        "forward_deterministic": all(np.array_equal(predictions[name], again[name]) for name in stores),
    }
    if {"fgsm", "bim"} <= set(stores):
        found["iterative_not_weaker"] = ceiling(stores["bim"]) >= ceiling(stores["fgsm"])
    # One step need not fool; a walk that begins from a clip of the target class fools by beginning.
    whitebox = [
        ceiling(store)
        for name, store in stores.items()
        if name != "fgsm" and store.attributes.get("knowledge") != "black box" and store.eligible.any()
    ]
    if whitebox:
        found["unlimited_budget_fools"] = max(whitebox) >= 0.9
    return {name: int(holds) for name, holds in found.items()} | {"passed": int(all(found.values()))}


def ceiling(store: Adversarial) -> float:
    """Share of the eligible clips fooled at any size; 0 where none is eligible."""
    return float(store.success.sum() / max(store.eligible.sum(), 1))


def _in_bounds(store: Adversarial) -> bool:
    return bool(store.adversarial.min() >= -BOUND_SLACK and store.adversarial.max() <= 1 + BOUND_SLACK)


def _confirmed(store: Adversarial, predicted: npt.NDArray[np.int64]) -> bool:
    return bool((predicted[store.success] == store.target[store.success]).all())


def _measured(store: Adversarial) -> bool:
    sizes = robustness.sizes(store.clean, store.adversarial)
    return np.allclose(sizes.linf, store.size_linf, atol=1e-6) and np.allclose(sizes.l2, store.size_l2, atol=1e-6)
