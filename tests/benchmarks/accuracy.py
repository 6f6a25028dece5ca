"""How accurate the baselines of the grid are: `python -m tests.benchmarks.accuracy`, after `dvc repro train`.

A Markdown row for each representation and architecture: accuracy on the validation clips, by which settings are chosen,
and on the test folds; mean and standard deviation over the folds of the grid.
"""

import numpy as np
import numpy.typing as npt

from stages.core import params
from stages.core.grid import GridParams
from stages.models.cell import load_cell
from stages.training.baseline import accuracy


def main() -> None:
    grid = params.read("grid", GridParams)
    print("| representation | architecture | validation | test |\n|---|---|---|---|")
    for representation in grid.representation:
        for architecture in grid.architecture:
            found = np.array([accuracies(representation, architecture, str(fold)) for fold in grid.fold])
            print(f"| `{representation}` | `{architecture}` | {told(found[:, 0])} | {told(found[:, 1])} |")


def accuracies(representation: str, architecture: str, fold: str) -> tuple[float, float]:
    """On the validation and on the test clips of a fold."""
    cell = load_cell(representation, architecture, fold)
    network = cell.model("baseline")
    validation, test = cell.clips(cell.split.validation), cell.clips(cell.split.test)
    return accuracy(network, *validation, cell.compute).value, accuracy(network, *test, cell.compute).value


def told(values: npt.NDArray[np.float64]) -> str:
    spread = f" ± {100 * values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * values.mean():.1f}{spread} %"


if __name__ == "__main__":
    main()
