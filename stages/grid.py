"""The grid: which representations, architectures, folds and attacks are run."""

from collections.abc import Iterator
from itertools import product
from typing import Annotated

from pydantic import Field

from stages.params import Count, Name, Parameters
from stages.paths import Cell

MODELS = ("baseline", "hardened")
"""Of every cell."""

Names = Annotated[list[Name], Field(min_length=1)]


class GridParams(Parameters):
    """Lists, each with at least one entry."""

    representation: Names
    architecture: Names
    fold: Annotated[list[Annotated[Count, Field(ge=1)]], Field(min_length=1)]
    attack: Names

    def cells(self, representation: str, architecture: str) -> list[Cell]:
        """The cells of one representation and architecture, a fold each."""
        return [Cell(representation, architecture, fold) for fold in self.fold]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every (representation, architecture)."""
        return product(self.representation, self.architecture)
