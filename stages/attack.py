"""Stage `attack`: the cheapest adversarial example of every test clip, by one attack on one victim."""

import time
from dataclasses import replace

from stages import attacks, console, crafting, params, stores, trials
from stages.attacks import AttackParams


def main(representation: str, architecture: str, fold: str, victim: str, attack: str) -> None:
    """Write the adversarial store of the test clips."""
    settings: AttackParams = params.read("attack", AttackParams)
    weak = attacks.load(attack)
    trial = trials.begin(representation, architecture, fold)
    model = trial.victim(victim)
    start = time.perf_counter()
    validation = crafting.case(model, trial.store, trial.split.validation, trial.seed).clips(settings.tuning_clips)
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
    test = crafting.case(model, trial.store, trial.split.test, trial.seed)
    what = f"{attack} on the {victim} model, {trial.cell}"
    found = crafting.attacked(test, model, tuning.attack, settings.search, what, attributes)
    timed = replace(found, attributes={**attributes, "seconds": time.perf_counter() - start})
    stores.write_adversarial(trial.cell.attack(victim, attack), timed)


if __name__ == "__main__":
    console.run(main)
