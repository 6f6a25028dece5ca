"""What one model of a cell is worth: clean, attacked in both domains, and against what was crafted for the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stages.attacks.base.expectation import image_domain
from stages.attacks.base.sound_domain import SoundDomain
from stages.core.arrays import Floats, Integers
from stages.evaluation import measures, rules, sonification
from stages.evaluation.attacked import Attacked, Stores, read_attacked
from stages.evaluation.check_figures import Evaluated, figures_of_both
from stages.evaluation.image_departures import image_departures
from stages.evaluation.settings import EvaluationSettings
from stages.evaluation.sonification import Sonified
from stages.evaluation.sound_departures import noise_curve, sound_departures
from stages.evaluation.survival import survival
from stages.models.cell import Cell
from stages.models.victim import predictions


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluated model of a cell, with the attacks on its test clips, and the metrics."""

    cell: Cell
    model: str
    """Name of the model: `baseline` or `hardened`."""
    image: Attacked
    sound: Attacked
    settings: EvaluationSettings
    predicted: Integers
    """Classes that the model takes the images of the clean clips for, shape (N,)."""
    sonified: Sonified
    departures: Mapping[str, Floats]
    """Smallest size known with which each clip leaves its class, by any attack, shape (N,); 0 where it never was in it.

    Of `image` in L-infinity, of `sound` as an amplitude ratio.
    """
    noise: pd.DataFrame
    """Share of the clips that white noise moves out of their class: `snr`, `noise`."""
    metrics: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.cell.features.classes


def evaluate(cell: Cell, model: str, settings: EvaluationSettings) -> Evaluation:
    """Measure one model of a cell.

    Args:
        cell: the cell; its test clips, models and adversarial stores are read.
        model: `baseline` or `hardened`.
        settings: the attacks, the budgets, and how the clips are read.

    Raises:
        InputError: a file is missing, damaged, or made of something else.
    """
    chosen = settings.attacks, settings.attack
    image = read_attacked(cell, model, image_domain(settings.representation, settings.attack), *chosen)
    hearing = SoundDomain(settings.representation, settings.audio)
    sound = read_attacked(cell, model, hearing, *chosen)
    own = {"image": image_departures(image, settings.curve), "sound": sound_departures(sound)}
    departures = {
        "image": np.minimum(own["image"], image.worst("linf")),
        "sound": np.minimum(own["sound"], sound.worst("snr")),
    }
    sonified = sonify(hearing, image)
    metrics: dict[str, Any] = {
        "clean": measures.clean(image),
        "adaptive": measures.adaptive(image) | measures.adaptive_in_sound(sound),
        "untargeted": {
            "image": measures.untargeted_image(image, departures["image"], settings.training_eps),
            "sound": measures.untargeted_sound(sound, departures["sound"]),
        },
        "rendered": sonified.metrics(),
        "channels": survival(sound, cell.seed),
    }
    if model == "hardened":
        metrics["transferred"] = measures.transferred(image) | measures.transferred(sound)
    replayed = metrics.get("transferred", {})
    figures = figures_of_both(Evaluated(cell, model, settings, image, sound, own, departures, replayed))
    metrics |= {"checks": rules.judge(figures, model), "check_figures": figures}
    return Evaluation(
        cell=cell,
        model=model,
        image=image,
        sound=sound,
        settings=settings,
        predicted=predictions(image.victim, image.inputs.clean.numpy()),
        sonified=sonified,
        departures=departures,
        noise=noise_curve(sound),
        metrics=metrics,
    )


def sonify(domain: SoundDomain, attacked: Attacked) -> Sonified:
    """Render the cheapest example, in L-infinity, of some of the fooled images as sounds, and judge the sounds."""
    inputs, found = attacked.inputs, attacked.stores
    rows = sonification.chosen(np.flatnonzero(np.isfinite(attacked.worst("linf"))))
    attacks = [_cheapest(found, row) for row in rows]
    labels, targets, groups = inputs.labels.numpy()[rows], inputs.targets.numpy()[rows], attacked.groups[rows]
    if not len(rows):
        return Sonified([], [], np.zeros(0, np.int64), inputs.clips[rows], groups, labels, targets)
    images = np.stack([found[name].adversarial[row] for name, row in zip(attacks, rows, strict=True)])
    renderings = sonification.renderings(domain.representation, domain.audio, inputs.clips[rows], images)
    again = np.stack([each.image for each in renderings])[:, None]
    return Sonified(
        attacks, renderings, predictions(attacked.victim, again), inputs.clips[rows], groups, labels, targets
    )


def _cheapest(found: Stores, row: int) -> str:
    """Find the attack that fooled a clip with the smallest size in L-infinity."""
    fooling = (name for name, store in found.items() if store.success[row])
    return min(fooling, key=lambda name: float(found[name].sizes["linf"][row]))
