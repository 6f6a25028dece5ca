"""The grid: which representations, architectures, folds and attacks are run."""

from collections.abc import Iterator
from itertools import product
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field

from stages.core import params
from stages.core.params import Count, Name, Parameters
from stages.core.paths import CellPaths

MODELS = ("baseline", "hardened")
"""Names of the models of every cell."""

RESERVED = ("curves", "figures", "plots", "timings", "training")
"""Folders of metrics/, beside which each representation has one of its own."""

Entry = TypeVar("Entry", str, int)


def _distinct(entries: list[Entry]) -> list[Entry]:
    if twice := sorted({entry for entry in entries if entries.count(entry) > 1}):
        raise ValueError(f"each entry must stand there once; more often does {', '.join(map(str, twice))}")
    return entries


Names = Annotated[list[Name], Field(min_length=1), AfterValidator(_distinct)]


def _not_reserved(names: list[str]) -> list[str]:
    if taken := [name for name in names if name in RESERVED]:
        raise ValueError(
            f"{', '.join(taken)} is a folder of metrics/ already: give the representation's file another name"
        )
    return names


Representations = Annotated[Names, AfterValidator(_not_reserved)]
Folds = Annotated[list[Annotated[Count, Field(ge=1)]], Field(min_length=1), AfterValidator(_distinct)]


class GridParams(Parameters):
    """The lists of the grid, each with at least one entry, none twice: a repeated one would count twice in means."""

    representation: Representations
    architecture: Names
    fold: Folds
    attack: Names

    def cells(self, representation: str, architecture: str) -> list[CellPaths]:
        """List the cells of one representation and architecture, one per fold."""
        return [CellPaths(representation, architecture, fold) for fold in self.fold]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Iterate over all pairs (representation, architecture)."""
        return product(self.representation, self.architecture)


def attack_names() -> list[str]:
    """Read `grid.attack` alone.

    Raises:
        InputError: the list is wrong; the message names the rule and the value found.
    """
    found: list[str] = params.validate("grid.attack", Names)
    return found
