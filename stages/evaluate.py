"""Stage `evaluate`: the metrics of one model of a cell, their checks, and what the report shows of it."""

from collections.abc import Iterator
from typing import Any

from stages import attacks, checkpoints, console, crafting, files, params, paths, representations, stores, trials
from stages.attacks import Attack, AttackParams
from stages.audio import AudioParams
from stages.crafting import Case
from stages.evaluation import assessment, checks, provenance, results
from stages.grid import MODELS, Names
from stages.paths import Cell
from stages.reporting import cards, exhibits, gallery, tables
from stages.stores import Adversarial


def main(representation: str, architecture: str, fold: str, victim: str) -> None:
    """Write the metrics, the tables for plots, the pictures and sounds of the report, and the model card."""
    eps: float = params.read("attack", AttackParams).eps
    names: list[str] = params.read("grid.attack", Names)
    architectures: list[str] = params.read("grid.architecture", Names)
    sound: AudioParams = params.read("audio", AudioParams)
    transform = representations.load(representation)
    trial = trials.begin(representation, architecture, fold)
    cell, model = trial.cell, trial.victim(victim)
    case = crafting.case(model, trial.store, trial.split.test, trial.seed)
    found, kinds = read_attacks(cell, victim, names, case, eps)
    others = {
        f"{source.architecture}_{name}": read_attacks(source, name, names, case, eps)[0]
        for source, name in sources(cell, victim, architectures)
    }
    baseline = others.get(f"{architecture}_baseline", {})
    predicted = assessment.predictions(model, case.images)
    heard = assessment.hear(transform, sound, model, found, case)
    metrics: dict[str, Any] = {
        "clean": assessment.clean(case),
        "adaptive": assessment.adaptive(found, case, eps, trial.seed),
        "untargeted": assessment.untargeted(model, found, case, eps),
        "sound": heard.metrics(),
        "transfer": {source: assessment.replayed(model, stored, case) for source, stored in others.items()},
    }
    if baseline:
        metrics["transferred"] = assessment.transferred(model, baseline, case, predicted, eps)
    figures = assessment.figures(trial, model, case, found, baseline, kinds, metrics, eps)
    metrics |= {"checks": checks.judge(figures), "check_figures": figures}
    classes = trial.store.classes
    shown = gallery.build(model, kinds, found, gallery.typical(baseline or found), classes, eps)
    exhibits.write(cell.exhibits(victim), [shown.exhibit(), *heard.exhibits(classes, sound.sample_rate)])
    with files.replacing(cell.plots(victim) / "gallery.png") as partial:
        partial.write_bytes(shown.plate())
    tables.write(cell.plots(victim), tables.of_model(metrics, found, classes, predicted, eps))
    for path in (cell.metrics(victim), cell.told(victim)):
        results.write(path, metrics)
    write_card(cell, victim, metrics, eps)


def write_card(cell: Cell, victim: str, metrics: dict[str, Any], eps: float) -> None:
    """Write the model card, with the terms of the data."""
    facts, terms = checkpoints.metadata(cell.model(victim)), paths.TERMS.read_text(encoding="utf-8")
    with files.replacing(cell.card(victim)) as partial:
        partial.write_text(cards.text(cell, victim, facts, metrics, terms, eps), encoding="utf-8")


def read_attacks(
    cell: Cell, victim: str, names: list[str], case: Case, eps: float
) -> tuple[dict[str, Adversarial], dict[str, Attack]]:
    """The adversarial stores of attacks on a victim, and the attacks as they were run.

    Raises:
        InputError: a store is missing or damaged, or is of other clips, targets or parameters.
    """
    found, kinds = {}, {}
    for name in names:
        path, stage = cell.attack(victim, name), cell.stage("attack", victim, name)
        store = stores.read_adversarial(path, stage)
        kind = attacks.load(name)
        provenance.require_case(store, case, path, stage)
        expected = {"attack": name, "victim": victim, "eps": eps, "norm": kind.norm}
        provenance.require_attributes(store, expected, path, stage)
        found[name], kinds[name] = store, provenance.require_parameters(store, kind, path, stage)
    return found, kinds


def sources(cell: Cell, victim: str, architectures: list[str]) -> Iterator[tuple[Cell, str]]:
    """The other models of the grid whose examples fit: of the same representation and fold."""
    for architecture in architectures:
        for name in MODELS:
            if (architecture, name) != (cell.architecture, victim):
                yield Cell(cell.representation, architecture, cell.fold), name


if __name__ == "__main__":
    console.run(main)
