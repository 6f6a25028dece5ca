"""Stage `attack`: the cheapest adversarial example of every test clip, by one attack on one model."""

import json

from stages import attacks
from stages.attacks.base import AttackParams
from stages.attacks.base.expectation import domain
from stages.attacks.base.prepare import cell_inputs, starting_points
from stages.attacks.base.run import AttackRun
from stages.attacks.base.tuning import tune
from stages.core import cli, params
from stages.models import distributed
from stages.models.cell import load_cell
from stages.stores import provenance
from stages.stores.adversarial import write_adversarial


def main(representation: str, architecture: str, fold: str, model: str, attack: str) -> None:
    """Tune the attack on validation clips, run it on the test clips, and write the adversarial store."""
    settings = params.read("attack", AttackParams)
    weakest = attacks.load(attack)
    cell = load_cell(representation, architecture, fold)
    distributed.join(cell.compute)
    threat = domain(weakest.domain, representation, settings, cell.seed)
    victim = threat.victim(cell, model)
    what = f"{attack} on the {model} model, {cell.paths}"
    # By every process alike: its few clips hardly make more than one shard, and each level waits for the one below.
    validation = cell_inputs(cell, victim, cell.split.validation, threat).eligible_only()
    validation = validation.subsample(settings.tuning_clips)
    points = starting_points(cell, victim, weakest, threat)
    tuning = tune(weakest, victim, validation.starting_from(points), settings)
    tuning.tell(what)
    run = AttackRun(
        what=what,
        victim=victim,
        inputs=cell_inputs(cell, victim, cell.split.test, threat).starting_from(points),
        attack=tuning.attack,
        # What is fooled within the budget, in the attack's own norm, is then known exactly, not to the tolerance.
        search=settings.search.starting_at(weakest.first_budget(settings)),
    )
    facts = {"victim": model, **settings.facts, **provenance.of_attack(attack), **tuning.facts}
    found = run.adversarial(facts | {"classes": json.dumps(cell.features.classes)})
    if distributed.is_main_process():
        write_adversarial(cell.paths.attack(model, attack), found)
    run.done()


if __name__ == "__main__":
    cli.run(main, *cli.CELL, "model", "attack")
