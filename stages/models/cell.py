"""A cell of the grid: its features, their split, the randomness, the models."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stages.architectures.base import build
from stages.core import device, params, paths
from stages.core.arrays import Integers
from stages.core.compute import ComputeParams
from stages.core.paths import CellPaths
from stages.models import checkpoints
from stages.models.checkpoints import ModelSpec
from stages.models.victim import Victim
from stages.stores import provenance, splits
from stages.stores.features import Features, read_features
from stages.stores.splits import Split


@dataclass(frozen=True)
class Cell:
    """One cell, ready to be trained, attacked or evaluated."""

    paths: CellPaths
    features: Features
    split: Split
    seed: int
    compute: ComputeParams

    @property
    def spec(self) -> ModelSpec:
        """What the cell's models are for."""
        return checkpoints.model_spec(self.paths.architecture, self.features)

    def model(self, name: str) -> nn.Module:
        """Read the `baseline` or `hardened` model, in evaluation mode.

        Raises:
            InputError: its file is missing, damaged or of another model.
        """
        return checkpoints.read(self.paths.model(name), self.spec, self.paths.writer(name))

    def fresh_network(self) -> nn.Module:
        """Build an untrained model of the cell's architecture, which normalises by the training clips."""
        network = build(self.paths.architecture, self.features.shape, len(self.features.classes))
        network.normalise_by(self.clips(self.split.train)[0])
        return network

    def victim(self, name: str) -> Victim:
        """Read the `baseline` or `hardened` model as a victim of attacks; raises as `model` does."""
        return Victim(self.model(name), self.compute)

    def clips(self, positions: Integers) -> tuple[Tensor, Tensor]:
        """Pick the images, shape (N, 1, height, width), and labels, shape (N,), at some positions of the store."""
        return torch.from_numpy(self.features.features[positions]), torch.from_numpy(self.features.labels[positions])


def load_cell(representation: str, architecture: str, fold: str) -> Cell:
    """Read a cell's features and split them, and make PyTorch repeatable.

    Args:
        representation: name of the representation.
        architecture: name of the architecture.
        fold: number of the test fold.

    Raises:
        InputError: a parameter or the feature store is wrong, or the dataset has no such fold.
    """
    files = CellPaths(representation, architecture, int(fold))
    compute = params.read("compute", ComputeParams)
    seed, share = params.seed(), params.validation_share()
    features = read_features(
        paths.features(representation), f"features@{representation}", provenance.of_features(representation)
    )
    device.seed_everything(seed)
    return Cell(files, features, splits.split(features, files.fold, share, seed), seed, compute)
