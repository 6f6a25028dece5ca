"""Stage `harden`: the baseline, trained further against adversarial clips."""

from stages import defenses
from stages.core import cli, params
from stages.defenses.base.hardening import harden
from stages.defenses.base.objective import HardenParams
from stages.models.cell import load_cell
from stages.training.augment import AugmentParams


def main(representation: str, architecture: str, fold: str) -> None:
    """Write the hardened weights and their training history."""
    settings = params.read("harden", HardenParams)
    augment = params.read("train.augment", AugmentParams)
    defense = defenses.load(settings.method)
    cell = load_cell(representation, architecture, fold)
    harden(cell, defense, settings, augment).write(cell.paths.model("hardened"), cell.spec)


if __name__ == "__main__":
    cli.run(main, *cli.CELL)
