"""How much faster attacks are here than by Foolbox as its documentation uses it. Run after `dvc repro`, by hand:

    python -m tests.benchmarks.attacks

The victim is the hardened model of the first cell of the grid; the clips are some that it gets right, of all folds.
The last line is `attacks ratio R`: clips a second of targeted BIM, 20 steps in a budget that fools nine in ten of them,
which is what attacks are tuned to; ours over Foolbox's, the median of some rounds. Before it stand the same in smaller
budgets, where fewer clips are done early and leave the batch, and, first of all, for the cost of each clip: our search
against a sweep over `epsilons` of equal resolution.

Raises:
    AssertionError: the two do not fool the same share of the clips, so that their speeds cannot be compared.
"""

import statistics
import time
from collections.abc import Callable

import foolbox
import numpy as np
import torch
from foolbox.attacks import LinfBasicIterativeAttack
from torch import Tensor

from stages import attacks
from stages.attacks.base import AttackParams
from stages.attacks.base.inputs import AttackInputs, attack_inputs
from stages.attacks.bim import BIM
from stages.core import cli, params
from stages.core.grid import GridParams
from stages.models.cell import Cell, load_cell
from stages.models.victim import Victim

STEPS = 20
REL_STEPSIZE = 0.2
"""Foolbox's default."""
MULTIPLES = (4, 7, 14)
"""Of `attack.eps`: few of the clips are fooled, about half, and more than nine in ten (of a weaker model: more)."""
CLIPS = 96
SWEPT_CLIPS = 8
ROUNDS = 3
ALIKE = 0.02
"""Largest difference of two fooling rates that count as equal."""


def main() -> None:
    """Print both ratios."""
    settings, grid = params.read("attack", AttackParams), params.read("grid", GridParams)
    cell = load_cell(grid.representation[0], grid.architecture[0], str(grid.fold[0]))
    victim, everywhere = cell.victim("hardened"), np.arange(len(cell.features.clips))
    inputs = attack_inputs(victim, cell.features, everywhere, cell.seed).eligible_only()
    compare_costs(cell, victim, inputs.subsample(SWEPT_CLIPS), settings)
    for multiple in MULTIPLES:
        compare_descents(cell, victim, inputs.subsample(CLIPS), multiple * settings.eps)


def documented(cell: Cell) -> foolbox.PyTorchModel:
    """The victim as Foolbox's README wraps it: float32, in the usual layout, its parameters requiring gradients."""
    return foolbox.PyTorchModel(cell.model("hardened"), bounds=(0, 1))


def compare_descents(cell: Cell, victim: Victim, inputs: AttackInputs, eps: float) -> None:
    """One budget for all clips, 20 steps."""
    model, bim = documented(cell), BIM(steps=STEPS, rel_stepsize=REL_STEPSIZE, schedule={})
    theirs = LinfBasicIterativeAttack(steps=STEPS, rel_stepsize=REL_STEPSIZE, random_start=False)
    shown, budget = victim.as_foolbox(), torch.full((len(inputs), 1, 1, 1), eps)

    def with_foolbox() -> Tensor:
        images, targets = inputs.clean.to(model.device), inputs.targets.to(model.device)
        examples = theirs(model, images, foolbox.TargetedMisclassification(targets), epsilons=eps)[1]
        return victim.predict(examples).cpu() == inputs.targets

    def with_ours() -> Tensor:
        there = inputs.to(victim.device)
        tried = bim.examples(shown, there, budget.to(victim.device), there.clean)
        return victim.predict(tried.examples).cpu() == inputs.targets

    rounds = [(timed(with_foolbox), timed(with_ours)) for _ in range(ROUNDS)]
    for name, runs in zip(("foolbox", "soundproof"), zip(*rounds, strict=True), strict=True):
        seconds, rate = statistics.median(run[0] for run in runs), runs[0][1].float().mean()
        print(f"{name}: {len(inputs) / seconds:.2f} clips/s, {rate:.1%} of {len(inputs)} fooled at {eps:g}")
    (_, foolbox_fooled), (_, fooled) = rounds[0]
    assert abs(foolbox_fooled.float().mean() - fooled.float().mean()) <= ALIKE, "they do not fool as many clips"
    print(f"attacks ratio {statistics.median(theirs[0] / ours[0] for theirs, ours in rounds):.2f}")


def compare_costs(cell: Cell, victim: Victim, inputs: AttackInputs, settings: AttackParams) -> None:
    """The smallest budget for each clip, to the tolerance of `attack.search`, from its first budget up."""
    bim = attacks.load("bim")
    assert isinstance(bim, BIM)
    model = documented(cell)
    theirs = LinfBasicIterativeAttack(steps=bim.steps, rel_stepsize=bim.rel_stepsize, random_start=False)
    budgets = int(np.ceil(np.log(1 / settings.search.start) / np.log1p(settings.search.tolerance))) + 1
    epsilons = np.geomspace(settings.search.start, 1, budgets).tolist()

    def with_foolbox() -> Tensor:
        images, targets = inputs.clean.to(model.device), inputs.targets.to(model.device)
        fooled = theirs(model, images, foolbox.TargetedMisclassification(targets), epsilons=epsilons)[2].cpu()
        return torch.where(fooled, torch.tensor(epsilons)[:, None], torch.inf).amin(0)

    foolbox_seconds, foolbox_cost = timed(with_foolbox)
    seconds, cost = timed(lambda: bim.search(victim, inputs, settings.search).cost)
    print(f"median cost of {len(inputs)} clips: foolbox {foolbox_cost.median():.4f}, soundproof {cost.median():.4f}")
    fooled = cost.isfinite().float().mean()
    assert abs(foolbox_cost.isfinite().float().mean() - fooled) <= ALIKE, "they do not fool as many clips"
    print(f"costs ratio {foolbox_seconds / seconds:.2f}")


def timed(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Seconds that it takes, and what it gives."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    cli.run(main)
