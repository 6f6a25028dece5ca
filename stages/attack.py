"""Stage `attack`: the cheapest adversarial example of every test clip, by one attack on both models of a cell."""

import json

from stages import attacks
from stages.attacks.base import AttackParams
from stages.attacks.base.expectation import domain
from stages.attacks.base.prepare import prepare
from stages.attacks.base.run import AttackRun
from stages.attacks.base.tuning import tune
from stages.core import cli, params
from stages.core.grid import MODELS
from stages.models import distributed
from stages.models.cell import load_cell
from stages.stores import provenance
from stages.stores.adversarial import write_adversarial


def main(representation: str, architecture: str, fold: str, attack: str) -> None:
    """Tune the attack on validation clips of both models, run it on the test clips, and write a store of each."""
    settings = params.read("attack", AttackParams)
    weakest = attacks.load(attack)
    cell = load_cell(representation, architecture, fold)
    distributed.join(cell.compute)
    threat = domain(weakest.domain, representation, settings, cell.seed)
    prepared = {model: prepare(cell, model, weakest, threat, settings.tuning_clips) for model in MODELS}
    # By every process alike: its few clips hardly make more than one shard, and each level waits for the one below.
    tuning = tune(weakest, [(each.victim, each.validation) for each in prepared.values()], settings)
    tuning.tell(f"{attack}, {cell.paths}")
    facts = {**settings.facts, **provenance.of_attack(attack), **tuning.facts}
    facts["classes"] = json.dumps(cell.features.classes)
    for model, each in prepared.items():
        run = AttackRun(
            what=f"{attack} on the {model} model, {cell.paths}",
            victim=each.victim,
            inputs=each.test,
            attack=tuning.attack,
            # What is fooled within the budget, in the attack's own norm, is known exactly, not to the tolerance.
            search=settings.search.starting_at(weakest.first_budget(settings)),
        )
        found = run.adversarial({"victim": model, **facts})
        if distributed.is_main_process():
            write_adversarial(cell.paths.attack(model, attack), found)
        run.done()


if __name__ == "__main__":
    cli.run(main, *cli.CELL, "attack")
