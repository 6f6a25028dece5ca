"""The grid: which representations, architectures, folds and attacks are run."""

from collections.abc import Iterator
from itertools import product
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from stages.params import Count, Name, Parameters
from stages.paths import Cell

MODELS = ("baseline", "hardened")
"""Of every cell."""

Entry = TypeVar("Entry", str, int)


def _distinct(entries: list[Entry]) -> list[Entry]:
    if twice := sorted({entry for entry in entries if entries.count(entry) > 1}):
        raise ValueError(f"each entry must stand there once; more often does {', '.join(map(str, twice))}")
    return entries


Names = Annotated[list[Name], Field(min_length=1), AfterValidator(_distinct)]
Folds = Annotated[list[Annotated[Count, Field(ge=1)]], Field(min_length=1), AfterValidator(_distinct)]


class GridParams(Parameters):
    """Lists, each with at least one entry, none twice: what stands there twice would count twice in means."""

    representation: Names
    architecture: Names
    fold: Folds
    attack: Names

    def cells(self, representation: str, architecture: str) -> list[Cell]:
        """The cells of one representation and architecture, a fold each."""
        return [Cell(representation, architecture, fold) for fold in self.fold]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every (representation, architecture)."""
        return product(self.representation, self.architecture)
