"""Training on clips as they are: of baselines, and of whatever an attacker trains for himself."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from stages import curves, learning, lessons, params, resumption
from stages.augmentation import AugmentationParams
from stages.compute import ComputeParams
from stages.learning import Record, Score
from stages.lessons import Batch, LearningParams
from stages.prediction import Victim
from stages.trials import Trial


class Plain:
    """The objective: cross-entropy of the clips themselves."""

    def __init__(self, label_smoothing: float) -> None:
        self.label_smoothing = label_smoothing

    def __call__(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the batch's images, and their logits."""
        return learning.cross_entropy(model, batch.images, batch, self.label_smoothing)


def accuracy(model: nn.Module, images: Tensor, labels: Tensor, compute: ComputeParams) -> Score:
    """Share of clips predicted right."""
    right = float((Victim(model, compute).predict(images).cpu() == labels).float().mean())
    return Score(value=right, accuracy=right, clips=len(labels))


@contextmanager
def trained(trial: Trial, what: str, curve: Path) -> Iterator[tuple[nn.Module, dict[str, str]]]:
    """A network of the trial's architecture by the recipe `train`, and what is to be told of it.

    The block keeps what it needs of them: when it succeeds, the scratch of the training is removed.

    Args:
        trial: its seed draws the weights, the order of the clips and their augmentation.
        what: the work, for progress and for the scratch that a killed run goes on from.
        curve: where the training curve is written.

    Raises:
        InputError: a parameter is wrong, or the clips cannot be trained on.
    """
    recipe: LearningParams = params.read("train", LearningParams)
    augmentation: AugmentationParams = params.read("augmentation", AugmentationParams)
    torch.manual_seed(trial.seed)
    model = trial.fresh_model()
    lesson = lessons.begin(trial, recipe, augmentation)
    images, labels = trial.clips(trial.split.validation)
    with resumption.scratch(what, *lesson.made_from, images, labels, model) as scratch:
        score = partial(accuracy, images=images, labels=labels, compute=trial.compute)
        rows = learning.fit(model, lesson, Plain(recipe.label_smoothing), score, Record(what, curve, scratch))
        yield model, lesson.facts | curves.summary(rows)
