"""What one model of a cell is worth: clean, attacked, against what was crafted for the baseline, and by ear."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.attacks.base import Attack
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.prepare import cell_inputs
from stages.audio.decoding import AudioParams
from stages.core.arrays import Integers
from stages.evaluation import checks, diagnostics, rates, sonification
from stages.evaluation.checks import SIZES, Stores
from stages.evaluation.sonification import Sonified
from stages.evaluation.stored_attacks import StoredAttack, read_attacks
from stages.models.cell import Cell
from stages.models.victim import Victim, predictions
from stages.representations.base import Representation
from stages.stores.adversarial import Adversarial


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluated model of a cell, with the attacks on its test clips, and the metrics."""

    cell: Cell
    model: str
    """Name of the model: `baseline` or `hardened`."""
    victim: Victim
    inputs: AttackInputs
    """The test clips."""
    attacks: Mapping[str, StoredAttack]
    """Attacks on this model, with what they found, by name."""
    baseline: Stores
    """Adversarial stores of the cell's baseline, by attack; empty where this model is the baseline."""
    eps: float
    predicted: Integers
    """Classes that the model takes the clean clips for, shape (N,)."""
    sonified: Sonified
    sample_rate: int
    """Sample rate of the sounds, in Hz."""
    metrics: Mapping[str, Any]

    @property
    def stores(self) -> Stores:
        """The adversarial stores of this model, by attack."""
        return {name: each.store for name, each in self.attacks.items()}

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.cell.features.classes


@dataclass(frozen=True)
class EvaluationSettings:
    """The settings that an evaluation takes from params.yaml."""

    attacks: list[str]
    """Names of the attacks."""
    eps: float
    """Budget that the rates are reported for."""
    representation: Representation
    audio: AudioParams


def evaluate(cell: Cell, model: str, settings: EvaluationSettings) -> Evaluation:
    """Measure one model of a cell.

    Args:
        cell: the cell; its test clips, models and adversarial stores are read.
        model: `baseline` or `hardened`.
        settings: the attacks, the budget, and how the clips are read.

    Raises:
        InputError: a file is missing, damaged, or made of something else.
    """
    victim, eps = cell.victim(model), settings.eps
    inputs = cell_inputs(cell, victim, cell.split.test)
    found = read_attacks(cell.paths, model, settings.attacks, inputs, eps)
    stores = {name: each.store for name, each in found.items()}
    baseline: Stores = {}
    if model == "hardened":
        stored = read_attacks(cell.paths, "baseline", settings.attacks, inputs, eps)
        baseline = {name: each.store for name, each in stored.items()}
    predicted = predictions(victim, inputs.images.numpy())
    sonified = sonify(settings.representation, settings.audio, victim, stores, inputs)
    metrics: dict[str, Any] = {
        "clean": clean(inputs),
        "adaptive": adaptive(stores, inputs, eps, cell.seed),
        "untargeted": untargeted(victim, stores, inputs, eps),
        "sound": sonified.metrics(),
    }
    if baseline:
        metrics["transferred"] = transferred(victim, baseline, inputs, predicted, eps)
    kinds = {name: each.attack for name, each in found.items()}
    figures = check_figures(cell, victim, inputs, stores, kinds, eps)
    if baseline and inputs.eligible.any():
        norms = {name: kind.norm for name, kind in kinds.items()}
        figures["transfer_not_stronger"] = checks.transfer_lead(stores, metrics["transferred"], norms, eps)
    metrics |= {"checks": checks.judge(figures), "check_figures": figures}
    return Evaluation(
        cell=cell,
        model=model,
        victim=victim,
        inputs=inputs,
        attacks=found,
        baseline=baseline,
        eps=eps,
        predicted=predicted,
        sonified=sonified,
        sample_rate=settings.audio.sample_rate,
        metrics=metrics,
    )


def clean(inputs: AttackInputs) -> dict[str, float]:
    """Compute the accuracy on clean clips, with its interval."""
    return {"clips": len(inputs), **rates.rate("accuracy", inputs.eligible.numpy())}


def adaptive(found: Stores, inputs: AttackInputs, eps: float, seed: int) -> dict[str, dict[str, float]]:
    """Compute the metrics of each attack, and of the cheapest example of all attacks in each norm."""
    correct = inputs.eligible.numpy()
    metrics = {
        name: rates.fooling(store.cost, correct, store.eligible, eps, seed) | effort(store)
        for name, store in found.items()
    }
    for name, size in SIZES.items():
        metrics[name] = rates.fooling(checks.worst(found, size), correct, checks.eligible(found), eps, seed)
    return metrics


def effort(store: Adversarial) -> dict[str, float]:
    """Compute the effort of an attack: queries per clip, and how its tuning ended, if it was tuned."""
    taken = {"queries": round(float(store.queries[store.eligible].mean()), 1)} if store.eligible.any() else {}
    if not store.attributes["tuning_clips"]:
        return taken
    return taken | {name: int(store.attributes[name]) for name in ("levels", "reached", "converged")}


def untargeted(victim: Victim, found: Stores, inputs: AttackInputs, eps: float) -> dict[str, float]:
    """Compute the share of clips that descents or any attack move out of their class within the L-infinity budget."""
    moved = diagnostics.moved(victim, inputs.eligible_only(), eps)
    moved |= checks.worst(found, "size_linf")[inputs.eligible.numpy()] <= eps
    return rates.rate("error_rate", moved)


def transferred(
    victim: Victim, baseline: Stores, inputs: AttackInputs, predicted: Integers, eps: float
) -> dict[str, dict[str, float]]:
    """Replay the baseline's examples within the budget on the model; clips without one are replayed clean."""
    metrics = {}
    correct, target = inputs.eligible.numpy(), inputs.targets.numpy()
    for name, store in baseline.items():
        within = store.success & (store.cost <= eps)
        verdict = predicted.copy()
        verdict[within] = predictions(victim, store.adversarial[within])
        fooled = (verdict == target)[correct]
        held = correct & (verdict != target)
        metrics[name] = {"robust_accuracy": float(held.mean()), **rates.rate("fooling_rate", fooled)}
    return metrics


def sonify(
    representation: Representation, audio: AudioParams, victim: Victim, found: Stores, inputs: AttackInputs
) -> Sonified:
    """Render the cheapest example, in L-infinity, of some of the fooled clips as sounds, and judge the sounds."""
    sizes = checks.worst(found, "size_linf")
    rows = sonification.chosen(np.flatnonzero(np.isfinite(sizes)))
    attacks = [_cheapest(found, row) for row in rows]
    labels, targets = inputs.labels.numpy()[rows], inputs.targets.numpy()[rows]
    if not len(rows):
        return Sonified([], [], np.zeros(0, np.int64), inputs.clips[rows], labels, targets)
    images = np.stack([found[name].adversarial[row] for name, row in zip(attacks, rows, strict=True)])
    renderings = sonification.renderings(representation, audio, inputs.clips[rows], images)
    again = np.stack([each.image for each in renderings])[:, None]
    return Sonified(attacks, renderings, predictions(victim, again), inputs.clips[rows], labels, targets)


def _cheapest(found: Stores, row: int) -> str:
    """Find the attack that fooled a clip with the smallest size in L-infinity."""
    return min((name for name in found if found[name].success[row]), key=lambda name: float(found[name].size_linf[row]))


def check_figures(
    cell: Cell, victim: Victim, inputs: AttackInputs, found: Stores, kinds: Mapping[str, Attack], eps: float
) -> dict[str, float]:
    """Measure the figure of every check that has something to measure."""
    verdicts = {name: predictions(victim, store.adversarial[store.success]) for name, store in found.items()}
    black_box = [name for name, kind in kinds.items() if kind.access == "black_box"]
    single_step = [name for name, kind in kinds.items() if kind.iterations == 1]
    groups, others = cell.features.groups, np.concatenate([cell.split.train, cell.split.validation])
    measured = {
        **checks.of_stores(found, verdicts),
        **checks.of_attacks(found, single_step, black_box, eps),
        "eligible_confirmed": checks.ineligible(found, inputs.eligible.numpy()),
        "nothing_tuned_on_test_clips": checks.leaked(groups[cell.split.test], groups[others]),
        **diagnostics.of_model(victim, inputs.images),
    }
    if not inputs.eligible.any():
        return measured
    attacked = inputs.eligible_only()
    sizes = checks.worst(found, "size_linf")[inputs.eligible.numpy()]
    descents = {
        **diagnostics.of_gradients(victim, attacked),
        **diagnostics.of_effort(victim, attacked, sizes, eps, 2 * most_iterations(kinds.values())),
        **diagnostics.of_steps(victim, attacked, eps),
        **diagnostics.of_budgets(victim, attacked, eps),
    }
    # What both the stores and descents tell: the worse of them, or the better where any success is a proof.
    for name in ("iterative_not_weaker", "unlimited_budget_fools"):
        descents[name] = max(descents[name], measured.get(name, 0.0))
    return measured | descents


def most_iterations(kinds: Iterable[Attack]) -> int:
    """Find the most steps of the attacks that descend in L-infinity, as they were run; 1 where there is none."""
    return max((kind.iterations for kind in kinds if kind.norm == "linf"), default=1)
