"""The figures of all checks on one model: of its stores, of the model itself, and of attacks made for them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stages.attacks.base import Attack
from stages.attacks.base.fixed_budget import FixedBudget
from stages.core.arrays import Flags, Floats
from stages.evaluation import checks, diagnostics, harder_attacks
from stages.evaluation.attacked import Attacked, worst
from stages.evaluation.settings import EvaluationSettings
from stages.models.cell import Cell
from stages.stores.perturbations import Norm


@dataclass(frozen=True)
class Evaluated:
    """What the checks on a model look at."""

    cell: Cell
    model: str
    settings: EvaluationSettings
    image: Attacked
    sound: Attacked
    own: Mapping[str, Floats]
    """Smallest size with which each clip leaves its class by untargeted attacks alone, shape (N,), by domain."""
    departures: Mapping[str, Floats]
    """The same by any attack."""
    replayed: Mapping[str, Mapping[str, float]]
    """Metrics of the baseline's examples shown to the model, by attack."""

    def images_moved(self, budget: float) -> Flags:
        """Tell which of the eligible images leave their class within a budget."""
        flags: Flags = self.departures["image"][self.image.correct] <= budget
        return flags


def figures_of_both(evaluated: Evaluated) -> dict[str, float]:
    """Measure the figure of every check that has something to measure: of both domains the worse."""
    cell, image = evaluated.cell, evaluated.image
    groups, others = cell.features.groups, np.concatenate([cell.split.train, cell.split.validation])
    return {
        "nothing_tuned_on_test_clips": checks.leaked(groups[cell.split.test], groups[others]),
        **diagnostics.of_model(image.victim, image.inputs.clean),
        **checks.worse(image_figures(evaluated), sound_figures(evaluated)),
    }


def image_figures(evaluated: Evaluated) -> dict[str, float]:
    """Measure the figures of attacks on images, and of attacks that are made for the checks."""
    attacked, measured = evaluated.image, domain_figures(evaluated.image, evaluated.replayed)
    if not attacked.attacks or not attacked.correct.any():
        return measured
    victim, inputs, eps = attacked.victim, attacked.inputs.eligible_only(), attacked.budget
    worst = {norm: attacked.worst(norm)[attacked.correct] for norm in attacked.budgets}
    moved = evaluated.images_moved(eps)
    again = {
        **diagnostics.of_gradients(victim, inputs),
        **diagnostics.of_precision(victim, inputs),
        **harder_attacks.of_effort(victim, inputs, worst["linf"], eps, most_steps_in_a_budget(attacked)),
        **harder_attacks.of_fresh_images(victim, inputs, worst, {norm: most_steps(attacked, norm) for norm in worst}),
        **harder_attacks.of_steps(victim, inputs, eps),
        **harder_attacks.of_budgets(victim, inputs, eps),
        **harder_attacks.of_random_search(victim, inputs, worst["linf"] <= eps, moved, eps),
        **of_departures(evaluated, "image", worst["linf"]),
        **of_transfer(evaluated, worst["linf"]),
    }
    # Of what both the stores and attacks made for the check tell, the worse.
    return measured | {name: max(figure, measured.get(name, figure)) for name, figure in again.items()}


def of_transfer(evaluated: Evaluated, worst: Floats) -> dict[str, float]:
    """Measure what fresh examples made for the baseline alone do to the hardened model, at each budget of the curve."""
    if evaluated.model != "hardened":
        return {}
    attacked = evaluated.image
    surrogate = attacked.domain.victim(evaluated.cell, "baseline")
    found = {budget: (worst <= budget, evaluated.images_moved(budget)) for budget in evaluated.settings.curve}
    return harder_attacks.of_transfer(attacked.victim, surrogate, attacked.inputs.eligible_only(), found)


def sound_figures(evaluated: Evaluated) -> dict[str, float]:
    """Measure the figures of attacks on sounds, their gradients, and what more effort would find."""
    attacked, measured = evaluated.sound, domain_figures(evaluated.sound, evaluated.replayed)
    if not attacked.attacks or not attacked.correct.any():
        return measured
    victim, inputs, budget = attacked.victim, attacked.inputs.eligible_only(), attacked.budget
    sizes = attacked.worst("snr")[attacked.correct]
    return {
        **measured,
        **diagnostics.of_gradients(victim, inputs),
        **harder_attacks.of_fresh_sounds(victim, inputs, sizes, budget, most_steps(attacked, "snr")),
        **of_departures(evaluated, "sound", sizes),
    }


def of_departures(evaluated: Evaluated, domain: str, targeted: Floats) -> dict[str, float]:
    """Measure what untargeted attacks in one domain missed, given the smallest targeted size of each eligible clip."""
    attacked = {"image": evaluated.image, "sound": evaluated.sound}[domain]
    found = worst(attacked.seeing("white_box"), next(iter(attacked.budgets)), len(attacked.inputs))
    own, by_gradients = (sizes[attacked.correct] for sizes in (evaluated.own[domain], found))
    return checks.of_departures(own, targeted, by_gradients, attacked.budget)


def domain_figures(attacked: Attacked, replayed: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Measure the figures of the attacks in one domain; none where there are no attacks."""
    if not attacked.attacks:
        return {}
    figures = checks.of_stores(attacked) | checks.of_attacks(attacked)
    own = {name: values for name, values in replayed.items() if name in attacked.baseline}
    if own and attacked.correct.any():
        norms = {name: kind.priced_in for name, kind in attacked.kinds.items()}
        figures["transfer_not_stronger"] = checks.transfer_lead(attacked.stores, own, norms, attacked.budgets)
    return figures


def most_steps(attacked: Attacked, norm: Norm) -> int:
    """Find the most steps along one path of the white boxes in a norm, as they were run; 1 where there is none."""
    return max((kind.iterations for kind in _white_boxes(attacked, norm)), default=1)


def most_steps_in_a_budget(attacked: Attacked) -> int:
    """Find the same of those white boxes in L-infinity that are given a budget."""
    kinds = [kind for kind in _white_boxes(attacked, "linf") if isinstance(kind, FixedBudget)]
    return max((kind.iterations for kind in kinds), default=1)


def _white_boxes(attacked: Attacked, norm: Norm) -> list[Attack]:
    return [kind for kind in attacked.kinds.values() if kind.access == "white_box" and kind.priced_in == norm]
