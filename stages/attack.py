"""Stage `attack`: the cheapest adversarial example of every test clip, by one attack on one victim."""

import time
from dataclasses import replace
from typing import Literal, cast

from stages import attacks, checkpoints, console, crafting, folds, hardware, params, paths, stores
from stages.attacks import AttackParams
from stages.compute import ComputeParams
from stages.paths import Cell
from stages.prediction import Victim


def main(representation: str, architecture: str, fold: str, victim: str, attack: str) -> None:
    """Write the adversarial store of the test clips."""
    cell = Cell(representation, architecture, int(fold))
    settings: AttackParams = params.read("attack", AttackParams)
    compute: ComputeParams = params.read("compute", ComputeParams)
    seed: int = params.read("seed", params.Seed)
    share: float = params.read("dataset.validation_share", params.Number)
    weak = attacks.load(attack)
    store = stores.read_features(paths.features(representation), f"features@{representation}")
    split = folds.split(store, cell.fold, share, seed)
    hardware.repeatable(seed)
    kind = cast(Literal["baseline", "hardened"], victim)
    model = Victim(checkpoints.read(cell.model(kind), checkpoints.card(architecture, store), cell.stage(kind)), compute)
    start = time.perf_counter()
    validation = crafting.case(model, store, split.validation, seed).clips(settings.tuning_clips)
    tuning = attacks.tune(weak, model, validation, settings, f"tuning {attack} on the {victim} model")
    attributes = {
        "attack": attack,
        "parameters": tuning.attack.model_dump_json(),
        "tuning_ceiling": tuning.ceiling,
        "tuning_clips": tuning.clips,
        "doublings": tuning.doublings,
        "converged": tuning.converged,
        "victim": victim,
        "eps": settings.eps,
        "norm": tuning.attack.norm,
    }
    test = crafting.case(model, store, split.test, seed)
    what = f"{attack} on the {victim} model, {cell}"
    found = crafting.attacked(test, model, tuning.attack, settings.search, what, attributes)
    timed = replace(found, attributes={**attributes, "seconds": time.perf_counter() - start})
    stores.write_adversarial(cell.attack(victim, attack), timed)


if __name__ == "__main__":
    console.run(main)
