"""Training on clips as they are: the baseline, the best of cheap ways to train one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from stages.core.compute import ComputeParams
from stages.core.progress import log
from stages.models import distributed, resume
from stages.models.cell import Cell
from stages.models.resume import Scratch
from stages.models.victim import Victim
from stages.training import history, loop
from stages.training.batches import TrainParams, load_training_data
from stages.training.history import Epoch
from stages.training.loop import Record, Score, Trained
from stages.training.objectives import CrossEntropy


@dataclass(frozen=True)
class Candidate:
    """A network that may become the baseline, trained in one of the cheap ways."""

    network: nn.Module
    facts: Mapping[str, str]
    """What the training data tell of the training."""
    rows: list[Epoch]
    """Training history."""
    scratch: Scratch

    @property
    def accuracy(self) -> float:
        """The accuracy of the network, that of the epoch kept, on the validation clips."""
        return history.best_epoch(self.rows).validation_accuracy


def accuracy(network: nn.Module, images: Tensor, labels: Tensor, compute: ComputeParams) -> Score:
    """Score a network by the share of clips that it predicts right."""
    right = float((Victim(network, compute).predict(images).cpu() == labels).float().mean())
    return Score(value=right, accuracy=right, clips=len(labels))


def train_baseline(cell: Cell, recipes: Mapping[str, TrainParams]) -> Trained:
    """Train a fresh network by each recipe, and keep the one that `best` chooses.

    Args:
        cell: the cell; its seed draws the weights, the order of the clips and their augmentation, alike for each.
        recipes: the recipe of each candidate, by its name, as `read_recipes` has them.

    Raises:
        InputError: the clips cannot be trained on.
    """
    candidates = {name: train_candidate(cell, name, recipe) for name, recipe in recipes.items()}
    accuracies = {name: candidate.accuracy for name, candidate in candidates.items()}
    kept = candidates[name := best(accuracies)]
    if distributed.is_main_process():
        history.write(cell.paths.history("baseline"), kept.rows)
        _log_choice(f"train {cell.paths}", accuracies, name)
    told = {"baseline": name, "baselines": json.dumps({each: round(right, 4) for each, right in accuracies.items()})}
    facts = {**kept.facts, **history.summary(kept.rows), **told}
    return Trained(kept.network, facts, [candidate.scratch for candidate in candidates.values()])


def train_candidate(cell: Cell, name: str, recipe: TrainParams) -> Candidate:
    """Train a fresh network by one recipe, or resume its training; raises as `train_baseline` does."""
    torch.manual_seed(cell.seed)
    network = cell.fresh_network()
    data = load_training_data(cell, recipe, recipe.augment)
    images, labels = cell.clips(cell.split.validation)
    scratch = resume.scratch(cell.paths.stage("train", name), *data.ingredients, images, labels, network)
    score = partial(accuracy, images=images, labels=labels, compute=cell.compute)
    record = Record(f"train {cell.paths} {name}", cell.paths.history("baseline"), scratch)
    rows = loop.fit(network, data, CrossEntropy(recipe.label_smoothing), score, record)
    return Candidate(network, data.facts, rows, scratch)


def best(accuracies: Mapping[str, float]) -> str:
    """Choose the baseline with the highest accuracy on the validation clips; of equals, the first.

    Example:
        >>> best({"masks": 0.9, "noise": 0.9, "plain": 0.8})
        'masks'
    """
    return max(accuracies, key=accuracies.__getitem__)


def _log_choice(what: str, accuracies: Mapping[str, float], kept: str) -> None:
    """Log what each candidate came to, where there are several, and which one is kept."""
    if len(accuracies) == 1:
        return
    for name, right in accuracies.items():
        log(f"{what}: {name}: validation accuracy {right:.3f}")
    log(f"{what}: {kept} is kept")
