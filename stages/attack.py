"""Stage `attack`: the cheapest adversarial example of every test clip, by one attack on one victim."""

import time
from dataclasses import replace

from stages import attacks, console, crafting, params, processes, stores, trials, tuning
from stages.attacks import AttackParams


def main(representation: str, architecture: str, fold: str, victim: str, attack: str) -> None:
    """Write the adversarial store of the test clips."""
    settings: AttackParams = params.read("attack", AttackParams)
    trial = trials.begin(representation, architecture, fold)
    processes.join(trial.compute)
    model = trial.victim(victim)
    start = time.perf_counter()
    weak = attacks.load(attack).prepared(trial)
    begins = crafting.starts(weak, model, trial.store, trial.split.train)
    validation = crafting.case(model, trial.store, trial.split.validation, trial.seed)
    # By every process alike: its few clips hardly make more than one shard, and each rung waits for the one below.
    tuned = tuning.tune(weak, model, validation.clips(settings.tuning_clips, begins), settings)
    what = f"{attack} on the {victim} model, {trial.cell}"
    if tuned.clips and processes.is_first():
        fooled = f"{tuned.ceiling:.1%} of {tuned.clips} validation clips fooled"
        console.say(f"{what}: {fooled}, {tuned.doublings} doublings")
    attributes = {
        "attack": attack,
        "parameters": tuned.attack.model_dump_json(),
        "tuning_ceiling": tuned.ceiling,
        "tuning_clips": tuned.clips,
        "doublings": tuned.doublings,
        "reached": tuned.reached,
        "converged": tuned.converged,
        "victim": victim,
        "eps": settings.eps,
        "norm": tuned.attack.norm,
        "knowledge": tuned.attack.knowledge,
        "paper": tuned.attack.paper,
    }
    test = crafting.case(model, trial.store, trial.split.test, trial.seed)
    # What is fooled within the budget is then known exactly, not to the tolerance.
    search = settings.search.around(settings.eps)
    with crafting.attacked(test, begins, model, tuned.attack, search, what, attributes) as found:
        if processes.is_first():
            timed = replace(found, attributes={**attributes, "seconds": time.perf_counter() - start})
            stores.write_adversarial(trial.cell.attack(victim, attack), timed)


if __name__ == "__main__":
    console.run(main)
