"""Training on clips as they are: the baseline."""

from functools import partial

import torch
from torch import Tensor, nn

from stages.core.compute import ComputeParams
from stages.models import resume
from stages.models.cell import Cell
from stages.models.victim import Victim
from stages.training import history, loop
from stages.training.batches import TrainParams, load_training_data
from stages.training.loop import Record, Score, Trained
from stages.training.objectives import CrossEntropy


def accuracy(network: nn.Module, images: Tensor, labels: Tensor, compute: ComputeParams) -> Score:
    """Score a network by the share of clips that it predicts right."""
    right = float((Victim(network, compute).predict(images).cpu() == labels).float().mean())
    return Score(value=right, accuracy=right, clips=len(labels))


def train_baseline(cell: Cell, recipe: TrainParams) -> Trained:
    """Train a fresh network of the cell's architecture.

    Args:
        cell: the cell; its seed draws the weights, the order of the clips and their augmentation.
        recipe: the section `train` of params.yaml.

    Raises:
        InputError: the clips cannot be trained on.
    """
    torch.manual_seed(cell.seed)
    network = cell.fresh_network()
    data = load_training_data(cell, recipe, recipe.augment)
    images, labels = cell.clips(cell.split.validation)
    scratch = resume.scratch(cell.paths.stage("train"), *data.ingredients, images, labels, network)
    score = partial(accuracy, images=images, labels=labels, compute=cell.compute)
    record = Record(f"train {cell.paths}", cell.paths.history("baseline"), scratch)
    rows = loop.fit(network, data, CrossEntropy(recipe.label_smoothing), score, record)
    return Trained(network, data.facts | history.summary(rows), scratch)
