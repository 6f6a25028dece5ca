"""Untargeted robust accuracy of a cell's models by our attacks and by torchattacks' parts of AutoAttack, in one run.

    pip install --no-deps torchattacks
    python -m tests.benchmarks.peers [representation architecture fold]

By default the first cell of the grid. For each model and each budget of the curve it prints the share of all test clips
that are right and stay so, by ours and by theirs (APGD on the cross-entropy, 50 steps, then targeted APGD), and the
seconds of theirs; those of ours are of all budgets, as in `evaluate`. All rows of an image may change: torchattacks
knows no frozen ones. Verdicts are in float32.
"""

import sys
import time

import torch
import torchattacks
from torch import Tensor

from stages.attacks.base.domains import ImageDomain
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.prepare import cell_inputs
from stages.core import params
from stages.core.grid import MODELS, GridParams
from stages.defenses import training_eps
from stages.evaluation.attacked import Attacked
from stages.evaluation.image_departures import curve, image_departures
from stages.models.cell import Cell, load_cell
from stages.models.victim import Victim

STEPS = 50
"""Number of steps of their descent on the cross-entropy."""


def main() -> None:
    """Print a line for each model and budget."""
    cell = load_cell(*(sys.argv[1:] or _first_cell()))
    print("model     budget  ours    theirs  seconds of theirs")
    for model in MODELS:
        _compare(cell, model)


def _first_cell() -> tuple[str, str, str]:
    grid = params.read("grid", GridParams)
    return grid.representation[0], grid.architecture[0], str(grid.fold[0])


def _compare(cell: Cell, model: str) -> None:
    domain = ImageDomain()
    victim = domain.victim(cell, model)
    inputs = cell_inputs(cell, victim, cell.split.test, domain)
    budgets = curve(params.number("attack.eps"), training_eps())
    start = time.perf_counter()
    sizes = image_departures(_attacked(cell, domain, victim, inputs), budgets)
    print(f"{model}: {time.perf_counter() - start:.0f} s of ours at all budgets")
    for budget in budgets:
        start = time.perf_counter()
        left = int(_held(victim, inputs.eligible_only(), budget, len(cell.features.classes)).sum())
        seconds = time.perf_counter() - start
        print(f"{model:8}  {budget:<6g}  {(sizes > budget).mean():6.1%}  {left / len(inputs):6.1%}  {seconds:.0f}")


def _attacked(cell: Cell, domain: ImageDomain, victim: Victim, inputs: AttackInputs) -> Attacked:
    """The model without any targeted attack on it."""
    return Attacked(
        domain=domain,
        victim=victim,
        inputs=inputs,
        groups=cell.features.groups[cell.split.test],
        attacks={},
        baseline={},
        budgets={"linf": params.number("attack.eps")},
    )


def _held(victim: Victim, inputs: AttackInputs, budget: float, classes: int) -> Tensor:
    """Tell which of the clips stay in their class under both of their attacks, shape (N,)."""
    held = torch.ones(len(inputs), dtype=torch.bool)
    for attack in (
        torchattacks.APGD(victim.model, norm="Linf", eps=budget, steps=STEPS, loss="ce"),
        torchattacks.APGDT(victim.model, norm="Linf", eps=budget, n_classes=classes),
    ):
        if held.any():
            rest = inputs[torch.nonzero(held).flatten()]
            images = attack(rest.clean, rest.labels)
            held[held.clone()] = victim.predict(images).cpu() == rest.labels
    return held


if __name__ == "__main__":
    main()
