"""Stage `craft`: the targeted adversarial training set of a cell."""

from typing import Annotated

from pydantic import Field

from stages import attacks, console, crafting, params, processes, stores, trials
from stages.attacks import SearchParams
from stages.params import Name, Number, Parameters


class CraftParams(Parameters):
    """With which attack, and how far."""

    attack: Name
    fooling_rate: Annotated[Number, Field(gt=0, le=1)]
    search: SearchParams


def main(representation: str, architecture: str, fold: str) -> None:
    """Write training.h5: the training clips, and examples that fool the baseline on enough of them."""
    settings: CraftParams = params.read("craft", CraftParams)
    trial = trials.begin(representation, architecture, fold)
    processes.join(trial.compute)
    attack = attacks.load(settings.attack).prepared(trial)
    victim = trial.victim("baseline")
    attributes = {
        "attack": settings.attack,
        "parameters": attack.model_dump_json(),
        "victim": "baseline",
        "eps": settings.search.start,
        "norm": attack.norm,
    }
    training = crafting.case(victim, trial.store, trial.split.train, trial.seed)
    what = f"crafting by {settings.attack}, {trial.cell}"
    begins = crafting.starts(attack, victim, trial.store, trial.split.train)
    with crafting.attacked(
        training, begins, victim, attack, settings.search, what, attributes, settings.fooling_rate
    ) as crafted:
        if processes.is_first():
            fooled = crafted.success.sum() / max(crafted.eligible.sum(), 1)
            console.say(f"{trial.cell}: {fooled:.1%} of {crafted.eligible.sum()} eligible training clips fooled")
            stores.write_adversarial(trial.cell.crafted(), crafted)


if __name__ == "__main__":
    console.run(main)
