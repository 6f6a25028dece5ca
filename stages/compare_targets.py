"""What each wrong class costs: one attack on the test clips of a model, towards every class but a clip's own.

It is made on request, as strong as it was for the stage `attack`, and takes as many times as long as there are classes.
"""

import sys

from stages.attacks.base import AttackParams, domain_of
from stages.attacks.base.expectation import domain
from stages.attacks.base.prepare import starting_points
from stages.attacks.base.run import AttackRun
from stages.core import cli, files, params
from stages.evaluation import all_targets
from stages.evaluation.attacked import read_attacked
from stages.models.cell import load_cell
from stages.reporting.target_comparison import as_text


def main(representation: str, architecture: str, fold: str, model: str, attack: str) -> None:
    """Write a table with a row for each clip and class; print the rates and costs of the easiest class and the mean."""
    settings = params.read("attack", AttackParams)
    cell = load_cell(representation, architecture, fold)
    threat = domain(domain_of(attack), representation, settings, cell.seed)
    attacked = read_attacked(cell, model, threat, [attack], settings)
    strength = attacked.kinds[attack]
    inputs = all_targets.towards_each(attacked.inputs.eligible_only(), len(cell.features.classes))
    run = AttackRun(
        what=f"{attack} towards all classes on the {model} model, {cell.paths}",
        victim=attacked.victim,
        inputs=inputs.starting_from(starting_points(cell, attacked.victim, strength, threat)),
        attack=strength,
        search=settings.search.starting_at(strength.first_budget(settings)),
    )
    recordings = attacked.groups[attacked.correct].repeat(len(cell.features.classes) - 1)
    table = all_targets.tabulate(run.adversarial({}), recordings, cell.features.classes)
    path = cell.paths.target_costs(model, attack)
    with files.replacing(path) as partial:
        table.to_csv(partial, index=False)
    run.done()
    norm, budget = strength.priced_in, attacked.budgets[strength.priced_in]
    sys.stdout.write(as_text(all_targets.compare(table, budget), norm, budget))
    sys.stdout.write(f"{path} has the cost of every clip and class\n")


if __name__ == "__main__":
    cli.run(main, *cli.CELL, "model", "attack")
