"""Stage `train`: the baseline model of a cell."""

from torch import Tensor, nn

from stages import architectures, checkpoints, console, folds, hardware, learning, params, paths, stores
from stages.augmentation import AugmentationParams
from stages.compute import ComputeParams
from stages.learning import Batch, LearningParams, Lesson, Score
from stages.paths import Cell
from stages.prediction import Victim


def main(representation: str, architecture: str, fold: str) -> None:
    """Write the baseline's weights and its training curve."""
    cell = Cell(representation, architecture, int(fold))
    recipe: LearningParams = params.read("train", LearningParams)
    augmentation: AugmentationParams = params.read("augmentation", AugmentationParams)
    compute: ComputeParams = params.read("compute", ComputeParams)
    seed: int = params.read("seed", params.Seed)
    share: float = params.read("dataset.validation_share", params.Number)
    store = stores.read_features(paths.features(representation), f"features@{representation}")
    split = folds.split(store, cell.fold, share, seed)
    hardware.repeatable(seed)
    model = architectures.build(architecture, len(store.classes))
    lesson = Lesson(
        learning.select(store.features, split.train),
        learning.select(store.labels, split.train),
        recipe,
        augmentation,
        seed,
        compute,
    )
    validation = learning.select(store.features, split.validation), learning.select(store.labels, split.validation)
    curve = learning.fit(
        model, lesson, lambda model: accuracy(model, *validation, compute), as_they_are, f"train {cell}"
    )
    checkpoints.write(cell.model("baseline"), model, checkpoints.card(architecture, store))
    learning.write_curve(cell.curve("baseline"), curve)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor, compute: ComputeParams) -> Score:
    """Share of clips predicted right."""
    right = float((Victim(model, compute).predict(images).cpu() == labels).float().mean())
    return Score(value=right, accuracy=right)


def as_they_are(_model: nn.Module, batch: Batch) -> Tensor:
    """The images of the batch, unchanged."""
    return batch.images


if __name__ == "__main__":
    console.run(main)
