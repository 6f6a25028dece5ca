"""A small network, training data and a cell made of a feature store, and a run in a folder of its own."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from stages.core.compute import ComputeParams
from stages.core.paths import CellPaths
from stages.models.cell import Cell
from stages.models.resume import Scratch
from stages.stores import splits
from stages.stores.features import Features
from stages.training import loop
from stages.training.augment import AugmentParams
from stages.training.batches import RecipeParams, TrainingData, TrainParams
from stages.training.history import Epoch
from stages.training.loop import Record, RollbackRule, Score, no_rollback
from stages.training.objectives import CrossEntropy, LossFunction

AUGMENTATION = AugmentParams(p_waveform_augment=0.5, time_shift=1.0, time_mask=0.1, band_mask=0.1, mixup=0, noise=0)
UNCHANGED = AugmentParams(p_waveform_augment=0, time_shift=0, time_mask=0, band_mask=0, mixup=0, noise=0)

PLAIN = CrossEntropy(0.0)


def recipe(**changes: float) -> RecipeParams:
    values = {"epochs": 4, "batch_size": 8, "learning_rate": 0.01, "weight_decay": 0.0, "label_smoothing": 0.0}
    return RecipeParams.model_validate(values | changes)


def small(classes: int = 3) -> nn.Module:
    network = nn.Sequential(nn.Conv2d(1, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d((8, 1)))
    return nn.Sequential(nn.BatchNorm2d(1, affine=False), network, nn.Flatten(), nn.Linear(64, classes))


def taught(features: Features, compute: ComputeParams, **changes: float) -> TrainingData:
    """Train on all clips of a store; changes are to the recipe."""
    return TrainingData(
        images=torch.from_numpy(features.features),
        copies=torch.from_numpy(features.variants),
        labels=torch.from_numpy(features.labels),
        clips=list(features.clips),
        classes=features.classes,
        silence=torch.from_numpy(features.silence),
        recipe=recipe(**changes),
        augment=AUGMENTATION,
        seed=0,
        compute=compute,
    )


def cell_of(features: Features, compute: ComputeParams) -> Cell:
    """A cell of ResNet-18, for which tests may put a smaller network."""
    split = splits.split(features, 5, 0.3, 0)
    return Cell(CellPaths("stft", "resnet18", 5), features, split, 0, compute)


def baseline_recipe(augment: AugmentParams, epochs: int = 3) -> TrainParams:
    """A recipe of the baseline that is the only candidate."""
    values = recipe(epochs=epochs).model_dump()
    return TrainParams(**values, augment=augment, baselines=["only"])


def fit(
    model: nn.Module,
    data: TrainingData,
    score: Callable[[nn.Module], Score] = lambda _: Score(0, 0, 1),
    loss: LossFunction = PLAIN,
    rollback: RollbackRule = no_rollback,
) -> list[Epoch]:
    """Train a network; its record is thrown away."""
    with TemporaryDirectory() as folder:
        record = Record("train", Path(folder) / "history.csv", Scratch(Path(folder) / "scratch.pt"))
        return loop.fit(model, data, loss, score, record, rollback)
