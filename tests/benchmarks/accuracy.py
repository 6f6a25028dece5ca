"""How accurate the baselines of the grid are: `python -m tests.benchmarks.accuracy`, after `dvc repro train`.

A Markdown row for each representation and architecture: accuracy on the validation clips, by which settings are chosen,
and on the test folds; mean and standard deviation over the folds of the grid.
"""

import numpy as np
import numpy.typing as npt

from stages.core import params
from stages.core.arrays import Integers
from stages.core.grid import GridParams
from stages.models.cell import Cell, load_cell
from stages.models.victim import Victim


def main() -> None:
    grid: GridParams = params.read("grid", GridParams)
    print("| representation | architecture | validation | test |\n|---|---|---|---|")
    for representation in grid.representation:
        for architecture in grid.architecture:
            found = np.array([accuracies(representation, architecture, str(fold)) for fold in grid.fold])
            print(f"| `{representation}` | `{architecture}` | {told(found[:, 0])} | {told(found[:, 1])} |")


def accuracies(representation: str, architecture: str, fold: str) -> tuple[float, float]:
    """On the validation and on the test clips of a fold."""
    trial = load_cell(representation, architecture, fold)
    victim = trial.victim("baseline")
    return accuracy(trial, victim, trial.split.validation), accuracy(trial, victim, trial.split.test)


def accuracy(trial: Cell, victim: Victim, positions: Integers) -> float:
    images, labels = trial.clips(positions)
    return float((victim.predict(images).cpu() == labels).float().mean())


def told(values: npt.NDArray[np.float64]) -> str:
    spread = f" ± {100 * values.std(ddof=1):.1f}" if len(values) > 1 else ""
    return f"{100 * values.mean():.1f}{spread} %"


if __name__ == "__main__":
    main()
