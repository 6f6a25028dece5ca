"""Stage `train`: the baseline model of a cell."""

from stages.core import cli, params
from stages.models.cell import load_cell
from stages.training.baseline import train_baseline
from stages.training.batches import TrainParams


def main(representation: str, architecture: str, fold: str) -> None:
    """Write the baseline's weights and its training history."""
    recipe = params.read("train", TrainParams)
    cell = load_cell(representation, architecture, fold)
    train_baseline(cell, recipe).write(cell.paths.model("baseline"), cell.spec)


if __name__ == "__main__":
    cli.run(main, *cli.CELL)
