"""What every stage of a cell starts from: its features, their split, the randomness, the models."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stages import architectures, checkpoints, folds, hardware, origins, params, paths, stores
from stages.checkpoints import Card
from stages.compute import ComputeParams
from stages.folds import Split
from stages.paths import Cell
from stages.prediction import Victim
from stages.stores import Features, Integers


@dataclass(frozen=True)
class Trial:
    """One cell, ready to be trained, attacked or judged."""

    cell: Cell
    store: Features
    split: Split
    seed: int
    compute: ComputeParams

    @property
    def card(self) -> Card:
        """What the cell's models are for."""
        return checkpoints.card(self.cell.architecture, self.store)

    def model(self, name: str) -> nn.Module:
        """The `baseline` or `hardened` model, in evaluation mode.

        Raises:
            InputError: its file is missing, damaged or of another model.
        """
        return checkpoints.read(self.cell.model(name), self.card, self.cell.writer(name))

    def fresh_model(self) -> nn.Module:
        """An untrained model of the cell's architecture."""
        return architectures.build(self.cell.architecture, self.store.shape, len(self.store.classes))

    def victim(self, name: str) -> Victim:
        """The `baseline` or `hardened` model under attack; raises as `model` does."""
        return Victim(self.model(name), self.compute)

    def clips(self, positions: Integers) -> tuple[Tensor, Tensor]:
        """Images, shape (N, 1, height, width), and labels, shape (N,), at some positions of the store."""
        return torch.from_numpy(self.store.features[positions]), torch.from_numpy(self.store.labels[positions])


def begin(representation: str, architecture: str, fold: str) -> Trial:
    """Read a cell's features and split them, and make PyTorch repeatable.

    Args:
        representation: by its name.
        architecture: by its name.
        fold: the number of the test fold.

    Raises:
        InputError: a parameter or the feature store is wrong, or the dataset has no such fold.
    """
    cell = Cell(representation, architecture, int(fold))
    compute: ComputeParams = params.read("compute", ComputeParams)
    seed: int = params.read("seed", params.Seed)
    share: float = params.read("dataset.validation_share", params.Number)
    store = stores.read_features(
        paths.features(representation), f"features@{representation}", origins.origin(representation)
    )
    hardware.repeatable(seed)
    return Trial(cell, store, folds.split(store, cell.fold, share, seed), seed, compute)
