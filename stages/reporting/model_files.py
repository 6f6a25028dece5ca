"""All that is written of one evaluated model: metrics, tables, pictures and sounds, the model card."""

from collections.abc import Mapping

from stages.core import files, paths
from stages.evaluation import results
from stages.evaluation.assessment import Evaluation
from stages.models import checkpoints
from stages.reporting import assets, gallery, model_card, model_tables, tables
from stages.reporting.sounds import adversarial_assets, sound_assets


def write(evaluation: Evaluation) -> None:
    """Write all files that `dvc.yaml` asks of the stage `evaluate`."""
    cell, model, metrics = evaluation.cell.paths, evaluation.model, evaluation.metrics
    shown = gallery.of_model(evaluation)
    rate = evaluation.settings.audio.sample_rate
    heard = sound_assets(evaluation.sonified, evaluation.classes, rate)
    played = adversarial_assets(evaluation.sound, evaluation.classes, rate)
    assets.write(cell.assets(model), [shown.asset(), *played, *heard])
    with files.replacing(cell.plots(model) / "gallery.png") as partial:
        partial.write_bytes(shown.contact_sheet())
    tables.write(cell.plots(model), model_tables.of_model(evaluation))
    results.write(cell.metrics(model), results.headline(metrics))
    results.write(cell.details(model), results.details(metrics))
    results.write(cell.metrics_copy(model), metrics)
    facts = checkpoints.metadata(cell.model(model))
    results.write(cell.facts_copy(model), facts)
    write_card(evaluation, facts)


def write_card(evaluation: Evaluation, facts: Mapping[str, str]) -> None:
    """Write the model card, with the facts of the model's file and the terms of the data."""
    cell, model, terms = evaluation.cell.paths, evaluation.model, paths.TERMS.read_text(encoding="utf-8")
    with files.replacing(cell.card(model)) as partial:
        text = model_card.text(cell, model, facts, evaluation.metrics, terms, evaluation.settings.attack)
        partial.write_text(text, encoding="utf-8")
