"""Stage `train`: the baseline model of a cell."""

from stages.core import cli
from stages.models.cell import load_cell
from stages.training.baseline import train_baseline
from stages.training.recipes import read_recipes


def main(representation: str, architecture: str, fold: str) -> None:
    """Write the baseline's weights and its training history."""
    recipes = read_recipes()
    cell = load_cell(representation, architecture, fold)
    train_baseline(cell, recipes).write(cell.paths.model("baseline"), cell.spec)


if __name__ == "__main__":
    cli.run(main, *cli.CELL)
