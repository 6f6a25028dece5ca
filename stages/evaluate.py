"""Stage `evaluate`: the metrics of one model of a cell, their checks, and what the report shows of it."""

from stages import defenses, representations
from stages.attacks.base import AttackParams
from stages.audio.decoding import AudioParams
from stages.core import cli, params
from stages.core.grid import attack_names
from stages.evaluation.assessment import evaluate
from stages.evaluation.settings import EvaluationSettings
from stages.models.cell import load_cell
from stages.reporting import model_files


def main(representation: str, architecture: str, fold: str, model: str) -> None:
    """Write the metrics, the tables for plots, the pictures and sounds of the report, and the model card."""
    settings = EvaluationSettings(
        attacks=attack_names(),
        attack=params.read("attack", AttackParams),
        representation=representations.load(representation),
        audio=params.read("audio", AudioParams),
        training_eps=defenses.training_eps(),
    )
    cell = load_cell(representation, architecture, fold)
    model_files.write(evaluate(cell, model, settings))


if __name__ == "__main__":
    cli.run(main, *cli.CELL, "model")
