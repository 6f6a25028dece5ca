"""Stage `craft`: the targeted adversarial training set of a cell."""

from stages import attacks
from stages.attacks.base import CraftParams
from stages.attacks.base.prepare import cell_inputs, starting_points
from stages.attacks.base.run import AttackRun
from stages.core import cli, params
from stages.core.progress import log
from stages.models import distributed
from stages.models.cell import load_cell
from stages.stores import provenance
from stages.stores.adversarial import write_adversarial


def main(representation: str, architecture: str, fold: str) -> None:
    """Write training.h5: the training clips, and examples that fool the baseline on enough of them."""
    settings = params.read("craft", CraftParams)
    attack = attacks.load(settings.attack)
    cell = load_cell(representation, architecture, fold)
    distributed.join(cell.compute)
    victim = cell.victim("baseline")
    run = AttackRun(
        what=f"crafting by {settings.attack}, {cell.paths}",
        victim=victim,
        inputs=cell_inputs(cell, victim, cell.split.train).starting_from(starting_points(cell, victim, attack)),
        attack=attack,
        search=settings.search,
        stop_at_success_rate=settings.fooling_rate,
    )
    crafted = run.adversarial(
        {"victim": "baseline", "eps": settings.search.start, **provenance.of_attack(settings.attack), **attack.facts}
    )
    if distributed.is_main_process():
        fooled = crafted.success.sum() / max(crafted.eligible.sum(), 1)
        log(f"{cell.paths}: {fooled:.1%} of {crafted.eligible.sum()} eligible training clips fooled")
        write_adversarial(cell.paths.crafted(), crafted)
    run.done()


if __name__ == "__main__":
    cli.run(main, *cli.CELL)
