"""The tables behind a model's metrics."""

import numpy as np
import pandas as pd

from stages.core.arrays import Floats
from stages.evaluation import rates
from stages.evaluation.assessment import Evaluation
from stages.evaluation.attacked import Attacked
from stages.evaluation.rules import RULES
from stages.stores.perturbations import decibels


def of_model(evaluation: Evaluation) -> dict[str, pd.DataFrame]:
    """Make the tables of rates, curves, costs, checks, confusion, classes and targets, by name.

    Those of images are `fooling` and `costs`, over the budget; those of sounds are `snr` and `snrs`, in dB.
    """
    metrics, image, sound = evaluation.metrics, evaluation.image, evaluation.sound
    costs, ratios = _costs(image), _costs(sound) if sound.attacks else {}
    costs |= {"untargeted": evaluation.departures["image"]}
    ratios |= {"untargeted": evaluation.departures["sound"]}
    names, inputs = np.array(evaluation.classes), image.inputs
    source, target = names[inputs.labels.numpy()], names[inputs.targets.numpy()]
    clips = pd.DataFrame({"clip": inputs.clips, "group": image.groups, "source": source, "target": target})
    curves = rates.snr_curves(ratios, sound.correct, evaluation.noise["snr"].to_numpy())
    return {
        "rates": pd.DataFrame([{"attack": name, **values} for name, values in metrics["adaptive"].items()]),
        "fooling": rates.curves(costs, image.correct),
        "costs": _finite(clips.assign(**costs)[image.correct]),
        "snr": curves.assign(noise=evaluation.noise["noise"]),
        "snrs": _finite(clips.assign(**{name: _snrs(each) for name, each in ratios.items()})[sound.correct]),
        "checks": pd.DataFrame(
            [
                (name, value, metrics["check_figures"][name])
                for name, value in metrics["checks"].items()
                if name in RULES
            ],
            columns=["check", "holds", "figure"],
        ),
        "confusion": pd.DataFrame({"actual": source, "predicted": names[evaluation.predicted]}),
        "class_targets": rates.class_targets(costs["worst_linf"], image.correct, source, target, image.budget),
    }


def _costs(attacked: Attacked) -> dict[str, Floats]:
    """Find the cost of each clip by each attack of a domain, and the smallest of all in each norm."""
    costs = {name: each.cost for name, each in attacked.stores.items()}
    return costs | {name: attacked.worst(norm) for name, norm in attacked.norms.items()}


def _snrs(ratios: Floats) -> Floats:
    """Tell amplitude ratios in dB; that of a clip which was never in its class does not matter."""
    snrs: Floats = decibels(np.where(ratios > 0, ratios, 1))
    return snrs


def _finite(table: pd.DataFrame) -> pd.DataFrame:
    """Empty the cells where a clip was not fooled, so that no table holds infinity."""
    return table.replace([np.inf, -np.inf], np.nan)
