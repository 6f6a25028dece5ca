"""Stage `train`: the baseline model of a cell."""

from torch import Tensor, nn

from stages import architectures, checkpoints, console, learning, params, trials
from stages.augmentation import AugmentationParams
from stages.compute import ComputeParams
from stages.learning import Batch, LearningParams, Lesson, Score
from stages.prediction import Victim


def main(representation: str, architecture: str, fold: str) -> None:
    """Write the baseline's weights and its training curve."""
    recipe: LearningParams = params.read("train", LearningParams)
    augmentation: AugmentationParams = params.read("augmentation", AugmentationParams)
    trial = trials.begin(representation, architecture, fold)
    model = architectures.build(architecture, trial.store.shape, len(trial.store.classes))
    lesson = Lesson(*trial.clips(trial.split.train), recipe, augmentation, trial.seed, trial.compute)
    images, labels = trial.clips(trial.split.validation)
    curve = learning.fit(
        model, lesson, lambda model: accuracy(model, images, labels, trial.compute), as_they_are, f"train {trial.cell}"
    )
    checkpoints.write(trial.cell.model("baseline"), model, trial.card)
    learning.write_curve(trial.cell.curve("baseline"), curve)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor, compute: ComputeParams) -> Score:
    """Share of clips predicted right."""
    right = float((Victim(model, compute).predict(images).cpu() == labels).float().mean())
    return Score(value=right, accuracy=right)


def as_they_are(_model: nn.Module, batch: Batch) -> Tensor:
    """The images of the batch, unchanged."""
    return batch.images


if __name__ == "__main__":
    console.run(main)
