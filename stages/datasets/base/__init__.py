"""What every dataset of recordings is: clips with labels, folds and groups, and the files that they lie in."""

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from stages.core import files, params, plugins
from stages.core.errors import InputError
from stages.datasets.base import archives, publications, sources
from stages.datasets.base.publications import Publication


@dataclass(frozen=True)
class Clip:
    """One labelled recording."""

    path: str
    """Path of the clip's file, relative to the folder of the audio, with `/` between the parts."""
    label: str
    fold: int
    """Number of the dataset's own fold, >= 1."""
    group: str
    """Original recording that the clip was cut from."""


@dataclass(frozen=True)
class Collected:
    """The clips of a dataset, with their files in place."""

    clips: list[Clip]
    rejected: Mapping[str, str] = field(default_factory=dict)
    """Reasons why clips have no file in place, by path."""


class Dataset(params.Parameters, ABC):
    """A dataset with its parameters."""

    @property
    @abstractmethod
    def terms(self) -> str:
        """The licence and the source of the recordings, for model cards."""

    @abstractmethod
    def collect(self, source: str, seed: int, audio: Path) -> Collected:
        """Put the sound files of every clip into a folder.

        Args:
            source: a local folder or archive, or an address; empty for the published archive.
            seed: seed of whatever is drawn at random.
            audio: the folder to fill, empty.

        Raises:
            InputError: the source is missing or is not this dataset.
        """


class Recordings(Dataset, ABC):
    """A dataset of files that somebody recorded."""

    publication: ClassVar[Publication | None] = None
    """Published archive of the dataset, if there is one."""
    clips: ClassVar[int] = 0
    """Number of clips in the published archive."""

    @property
    def terms(self) -> str:
        """The terms of the publication; only you know the terms of your own recordings."""
        if self.publication is None:
            return "Your own recordings, under the terms that you hold them by."
        return f"{self.publication.title}, {self.publication.licence}. {self.publication.citation}."

    @abstractmethod
    def find(self, root: Path, seed: int) -> dict[Clip, Path]:
        """Find the clips under a folder and their files, which need not exist.

        Args:
            root: the folder, or a table of clips.
            seed: seed of the folds, where the dataset has none of its own.

        Raises:
            InputError: the folder does not hold this dataset.
        """

    def collect(self, source: str, seed: int, audio: Path) -> Collected:
        """Link the files of the clips into the folder, or copy them where they cannot be linked."""
        rejected = {}
        with sources.opened(source, self.publication) as opened:
            found = self.find(opened.root, seed)
            _refuse_bad_paths(found, opened.root)
            if opened.archive and self.publication:
                strict = not source or len(found) >= self.clips
                publications.verify(opened.archive, opened.root, found.values(), self.publication, strict=strict)
            for clip, original in found.items():
                if reason := _problem(original, audio / clip.path):
                    rejected[clip.path] = reason
        return Collected([clip for clip in found if clip.path not in rejected], rejected)


def _refuse_bad_paths(found: Mapping[Clip, Path], root: Path) -> None:
    """Raise an InputError for a path that leads out of its folder, stands twice, or is no UTF-8."""
    top = root.parent if root.is_file() else root
    for clip, original in found.items():
        # Bytes of a name that are no UTF-8 reach Python as these.
        if any("\udc80" <= letter <= "\udcff" for letter in clip.path):
            raise InputError(f"{clip.path!r} is no name in UTF-8: rename the file")
        if not archives.is_inside(clip.path) or not archives.is_inside(os.path.relpath(original, top)):
            raise InputError(f"{clip.path!r}, named by the dataset, leads out of its folder")
    twice = [path for path, times in Counter(clip.path for clip in found).items() if times > 1]
    if twice:
        raise InputError(f"{twice[0]!r} stands twice in the dataset's table: each clip must be one row")


def _problem(original: Path, target: Path) -> str:
    """Put a file in place; return the reason where that fails, and nothing where it succeeds."""
    try:
        if not original.is_file():
            return "is named by the dataset but is not there"
        files.link(original, target)
    except OSError as error:
        return f"cannot be put in place: {error.strerror}"
    return ""


def require(clips: Mapping[Clip, Path], source: str, expected: str) -> None:
    """Raise an InputError that says what was expected, if no clips were found."""
    if not clips:
        raise InputError(f"dataset.source: {source} is not {expected}")


def load(name: str) -> Dataset:
    """Read the dataset `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.
    """
    return params.read(f"datasets.{name}", plugins.find("stages.datasets", name, Dataset))
