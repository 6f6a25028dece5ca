"""What one model of a cell is worth: clean, attacked in both domains, and against what was crafted for the baseline."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from stages.attacks.base import Attack, AttackParams
from stages.attacks.base.domains import IMAGE
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.sound_domain import SoundDomain
from stages.audio.decoding import AudioParams
from stages.core.arrays import Flags, Floats, Integers
from stages.evaluation import checks, departures, diagnostics, rates, rules, sonification
from stages.evaluation.attacked import Attacked, Stores, read_attacked
from stages.evaluation.sonification import Sonified
from stages.evaluation.survival import survival
from stages.models.cell import Cell
from stages.models.victim import predictions
from stages.representations.base import Representation
from stages.stores.adversarial import Adversarial
from stages.stores.perturbations import decibels


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluated model of a cell, with the attacks on its test clips, and the metrics."""

    cell: Cell
    model: str
    """Name of the model: `baseline` or `hardened`."""
    image: Attacked
    sound: Attacked
    settings: "EvaluationSettings"
    predicted: Integers
    """Classes that the model takes the images of the clean clips for, shape (N,)."""
    sonified: Sonified
    departures: Floats
    """Smallest amplitude ratio with which each sound leaves its class, shape (N,); 0 where it never was in it."""
    noise: pd.DataFrame
    """Share of the clips that white noise moves out of their class: `snr`, `noise`."""
    metrics: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.cell.features.classes


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings that an evaluation takes from params.yaml."""

    attacks: list[str]
    """Names of the attacks, in both domains."""
    attack: AttackParams
    """Budgets that the rates are reported for."""
    representation: Representation
    audio: AudioParams


def evaluate(cell: Cell, model: str, settings: EvaluationSettings) -> Evaluation:
    """Measure one model of a cell.

    Args:
        cell: the cell; its test clips, models and adversarial stores are read.
        model: `baseline` or `hardened`.
        settings: the attacks, the budgets, and how the clips are read.

    Raises:
        InputError: a file is missing, damaged, or made of something else.
    """
    image = read_attacked(cell, model, IMAGE, settings.attacks, settings.attack)
    domain = SoundDomain(settings.representation, settings.audio)
    sound = read_attacked(cell, model, domain, settings.attacks, settings.attack)
    sonified = sonify(domain, image)
    fled = departures.departures(sound)
    metrics: dict[str, Any] = {
        "clean": clean(image.inputs),
        "adaptive": adaptive(image, cell.seed) | adaptive_in_sound(sound, cell.seed),
        "untargeted": {"image": untargeted_image(image), "sound": untargeted_sound(sound, fled, cell.seed)},
        "rendered": sonified.metrics(),
        "channels": survival(sound, cell.seed),
    }
    if model == "hardened":
        metrics["transferred"] = transferred(image) | transferred(sound)
    figures = figures_of_both(cell, image, sound, metrics.get("transferred", {}))
    metrics |= {"checks": rules.judge(figures), "check_figures": figures}
    return Evaluation(
        cell=cell,
        model=model,
        image=image,
        sound=sound,
        settings=settings,
        predicted=predictions(image.victim, image.inputs.clean.numpy()),
        sonified=sonified,
        departures=fled,
        noise=departures.noise_curve(sound),
        metrics=metrics,
    )


def clean(inputs: AttackInputs) -> dict[str, float]:
    """Compute the accuracy on clean clips, with its interval."""
    return {"clips": len(inputs), **rates.rate("accuracy", inputs.eligible.numpy())}


def adaptive(attacked: Attacked, seed: int) -> dict[str, dict[str, float]]:
    """Compute the metrics of each attack, and of the cheapest example of all attacks in each norm."""
    correct, budget = attacked.correct, attacked.budget
    metrics = {
        name: rates.fooling(store.cost, correct, store.eligible, budget, seed) | effort(store)
        for name, store in attacked.stores.items()
    }
    if metrics:
        for name, norm in attacked.norms.items():
            metrics[name] = rates.fooling(attacked.worst(norm), correct, correct, budget, seed)
    return metrics


def adaptive_in_sound(attacked: Attacked, seed: int) -> dict[str, dict[str, float]]:
    """Compute the same for sounds, and costs in dB: signal-to-noise ratios, peaks, and the level above the masking."""
    levels = {name: _levels(store) for name, store in attacked.stores.items()}
    return {
        name: values | rates.loudness(values) | levels.get(name, {})
        for name, values in adaptive(attacked, seed).items()
    }


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
    return taken | {name: int(store.attributes[name]) for name in ("levels", "reached", "converged")}


def untargeted_image(attacked: Attacked) -> dict[str, float]:
    """Compute how many images descents or any attack move out of their class within the L-infinity budget."""
    moved = diagnostics.moved(attacked.victim, attacked.inputs.eligible_only(), attacked.budget)
    return _robustness(attacked, moved | (attacked.worst("linf")[attacked.correct] <= attacked.budget))


def untargeted_sound(attacked: Attacked, fled: Floats, seed: int) -> dict[str, float]:
    """Compute how many sounds descents or any attack move out of their class within the budget, and the median SNR."""
    costs = fled[attacked.correct]
    found = _robustness(attacked, costs <= attacked.budget)
    if not len(costs):
        return found
    medians = rates.loudness(rates.cost_quantiles(costs, seed))
    return found | {name: value for name, value in medians.items() if name.startswith("snr_median")}


def _robustness(attacked: Attacked, moved: Flags) -> dict[str, float]:
    """Compute the share of all clips that are right and stay so, and of those that are right the share that does not.

    Args:
        attacked: the model in one domain.
        moved: which of the clips that it gets right can be moved out of their class.
    """
    held = attacked.correct.copy()
    held[held] = ~moved
    return rates.rate("robust_accuracy", held) | rates.rate("error_rate", moved)


def transferred(attacked: Attacked) -> dict[str, dict[str, float]]:
    """Replay the baseline's examples within the budget on the model; clips without one are replayed clean."""
    inputs, metrics = attacked.inputs, {}
    target, predicted = inputs.targets.numpy(), predictions(attacked.victim, inputs.clean.numpy())
    for name, store in attacked.baseline.items():
        within = store.success & (store.cost <= attacked.budget)
        verdict = predicted.copy()
        verdict[within] = attacked.predicted(store, within)
        held = attacked.correct & (verdict != target)
        metrics[name] = {
            "robust_accuracy": float(held.mean()),
            **rates.rate("fooling_rate", (verdict == target)[attacked.correct]),
        }
    return metrics


def sonify(domain: SoundDomain, attacked: Attacked) -> Sonified:
    """Render the cheapest example, in L-infinity, of some of the fooled images as sounds, and judge the sounds."""
    inputs, found = attacked.inputs, attacked.stores
    rows = sonification.chosen(np.flatnonzero(np.isfinite(attacked.worst("linf"))))
    attacks = [_cheapest(found, row) for row in rows]
    labels, targets = inputs.labels.numpy()[rows], inputs.targets.numpy()[rows]
    if not len(rows):
        return Sonified([], [], np.zeros(0, np.int64), inputs.clips[rows], labels, targets)
    images = np.stack([found[name].adversarial[row] for name, row in zip(attacks, rows, strict=True)])
    renderings = sonification.renderings(domain.representation, domain.audio, inputs.clips[rows], images)
    again = np.stack([each.image for each in renderings])[:, None]
    return Sonified(attacks, renderings, predictions(attacked.victim, again), inputs.clips[rows], labels, targets)


def _cheapest(found: Stores, row: int) -> str:
    """Find the attack that fooled a clip with the smallest size in L-infinity."""
    fooling = (name for name, store in found.items() if store.success[row])
    return min(fooling, key=lambda name: float(found[name].sizes["linf"][row]))


def figures_of_both(
    cell: Cell, image: Attacked, sound: Attacked, replayed: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """Measure the figure of every check that has something to measure: of both domains the worse."""
    groups, others = cell.features.groups, np.concatenate([cell.split.train, cell.split.validation])
    return {
        "nothing_tuned_on_test_clips": checks.leaked(groups[cell.split.test], groups[others]),
        **diagnostics.of_model(image.victim, image.inputs.clean),
        **checks.worse(image_figures(image, replayed), sound_figures(sound, replayed)),
    }


def image_figures(attacked: Attacked, replayed: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Measure the figures of attacks on images, and of descents that are made for the checks."""
    measured = domain_figures(attacked, replayed)
    if not attacked.attacks or not attacked.correct.any():
        return measured
    victim, inputs, eps = attacked.victim, attacked.inputs.eligible_only(), attacked.budget
    sizes, steps = attacked.worst("linf")[attacked.correct], 2 * most_iterations(attacked.kinds.values())
    descents = {
        **diagnostics.of_gradients(victim, inputs),
        **diagnostics.of_effort(victim, inputs, sizes, eps, steps),
        **diagnostics.of_steps(victim, inputs, eps),
        **diagnostics.of_budgets(victim, inputs, eps),
    }
    # What both the stores and descents tell: the worse of them, or the better where any success is a proof.
    for name in ("iterative_not_weaker", "unlimited_budget_fools"):
        descents[name] = max(descents[name], measured.get(name, 0.0))
    return measured | descents


def sound_figures(attacked: Attacked, replayed: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Measure the figures of attacks on sounds, their gradients, and what more effort would find."""
    measured = domain_figures(attacked, replayed)
    if not attacked.attacks or not attacked.correct.any():
        return measured
    victim, inputs = attacked.victim, attacked.inputs.eligible_only()
    sizes = attacked.worst("snr")[attacked.correct]
    steps = 2 * max(kind.iterations for kind in attacked.kinds.values())
    return {
        **measured,
        **diagnostics.of_gradients(victim, inputs),
        **diagnostics.of_sound_effort(victim, inputs, sizes, attacked.budget, steps),
    }


def domain_figures(attacked: Attacked, replayed: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Measure the figures of the attacks in one domain; none where there are no attacks."""
    if not attacked.attacks:
        return {}
    figures = checks.of_stores(attacked) | checks.of_attacks(attacked)
    own = {name: values for name, values in replayed.items() if name in attacked.baseline}
    if own and attacked.correct.any():
        norms = {name: kind.priced_in for name, kind in attacked.kinds.items()}
        figures["transfer_not_stronger"] = checks.transfer_lead(attacked.stores, own, norms, attacked.budget)
    return figures


def most_iterations(kinds: Iterable[Attack]) -> int:
    """Find the most steps of the attacks that descend in L-infinity, as they were run; 1 where there is none."""
    return max((kind.iterations for kind in kinds if kind.norm == "linf"), default=1)
