"""Stage `train`: the baseline model of a cell."""

from functools import partial

from torch import Tensor, nn

from stages import checkpoints, console, curves, learning, lessons, params, processes, resumption, trials
from stages.augmentation import AugmentationParams
from stages.compute import ComputeParams
from stages.learning import Record, Score
from stages.lessons import Batch, LearningParams
from stages.prediction import Victim


def main(representation: str, architecture: str, fold: str) -> None:
    """Write the baseline's weights and its training curve."""
    recipe: LearningParams = params.read("train", LearningParams)
    augmentation: AugmentationParams = params.read("augmentation", AugmentationParams)
    trial = trials.begin(representation, architecture, fold)
    model = trial.fresh_model()
    lesson = lessons.begin(trial, recipe, augmentation)
    images, labels = trial.clips(trial.split.validation)
    with resumption.scratch(trial.cell.stage("train"), *lesson.made_from, images, labels, model) as scratch:
        record = Record(f"train {trial.cell}", trial.cell.curve("baseline"), scratch)
        score = partial(accuracy, images=images, labels=labels, compute=trial.compute)
        curve = learning.fit(model, lesson, Plain(recipe.label_smoothing), score, record)
        if processes.is_first():
            checkpoints.write(trial.cell.model("baseline"), model, trial.card, lesson.facts | curves.summary(curve))


class Plain:
    """Training on the clips as they are."""

    def __init__(self, label_smoothing: float) -> None:
        self.label_smoothing = label_smoothing

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the batch's images, and their logits."""
        return learning.cross_entropy(model, batch.images, batch, self.label_smoothing)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor, compute: ComputeParams) -> Score:
    """Share of clips predicted right."""
    right = float((Victim(model, compute).predict(images).cpu() == labels).float().mean())
    return Score(value=right, accuracy=right, clips=len(labels))


if __name__ == "__main__":
    console.run(main)
