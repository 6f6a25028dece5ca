"""What each wrong class costs: one attack on the test clips of a model, towards every class but a clip's own.

It is made on request, with the strength that the stage `attack` used, and takes as long as that for each wrong class.
"""

import sys

from stages.attacks.base import AttackParams, domain_of
from stages.attacks.base.expectation import domain
from stages.core import cli, params
from stages.evaluation import all_targets
from stages.evaluation.attacked import read_attacked
from stages.models import distributed
from stages.models.cell import load_cell
from stages.reporting import tables
from stages.reporting.target_comparison import as_text


def main(representation: str, architecture: str, fold: str, model: str, attack: str) -> None:
    """Write a table with a row for each clip and class; print the rates and costs of the easiest class and the mean."""
    settings = params.read("attack", AttackParams)
    cell = load_cell(representation, architecture, fold)
    distributed.join(cell.compute)
    threat = domain(domain_of(attack), representation, settings, cell.seed)
    attacked = read_attacked(cell, model, threat, [attack], settings)
    table = all_targets.attack_all(cell, model, attacked, attack, settings)
    if distributed.is_main_process():
        path, norm = cell.paths.target_costs(model, attack), attacked.kinds[attack].priced_in
        tables.write(path.parent, {path.stem: table})
        found = all_targets.compare(table, attacked.budgets[norm])
        sys.stdout.write(as_text(found, norm, attacked.budgets[norm]) + f"{path} has each clip and class\n")


if __name__ == "__main__":
    cli.run(main, *cli.CELL, "model", "attack")
