"""Stage `craft`: the targeted adversarial training set of a cell."""

from typing import Annotated

from pydantic import Field

from stages import attacks, checkpoints, console, crafting, folds, hardware, params, paths, stores
from stages.attacks import SearchParams
from stages.compute import ComputeParams
from stages.params import Name, Number, Parameters
from stages.paths import Cell
from stages.prediction import Victim


class CraftParams(Parameters):
    """With which attack, and how far."""

    attack: Name
    fooling_rate: Annotated[Number, Field(gt=0, le=1)]
    search: SearchParams


def main(representation: str, architecture: str, fold: str) -> None:
    """Write training.h5: the training clips, and examples that fool the baseline on enough of them."""
    cell = Cell(representation, architecture, int(fold))
    settings: CraftParams = params.read("craft", CraftParams)
    compute: ComputeParams = params.read("compute", ComputeParams)
    seed: int = params.read("seed", params.Seed)
    share: float = params.read("dataset.validation_share", params.Number)
    attack = attacks.load(settings.attack)
    store = stores.read_features(paths.features(representation), f"features@{representation}")
    split = folds.split(store, cell.fold, share, seed)
    hardware.repeatable(seed)
    card = checkpoints.card(architecture, store)
    victim = Victim(checkpoints.read(cell.model("baseline"), card, cell.stage("baseline")), compute)
    attributes = {
        "attack": settings.attack,
        "parameters": attack.model_dump_json(),
        "victim": "baseline",
        "eps": settings.search.start,
        "norm": attack.norm,
    }
    training = crafting.case(victim, store, split.train, seed)
    what = f"crafting by {settings.attack}, {cell}"
    crafted = crafting.attacked(training, victim, attack, settings.search, what, attributes, settings.fooling_rate)
    fooled = crafted.success.sum() / max(crafted.eligible.sum(), 1)
    console.say(f"{cell}: {fooled:.1%} of {crafted.eligible.sum()} eligible training clips fooled")
    stores.write_adversarial(cell.crafted(), crafted)


if __name__ == "__main__":
    console.run(main)
