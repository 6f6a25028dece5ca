"""Labelled recordings: one file a dataset, found by its name."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from stages import params, plugins


@dataclass(frozen=True)
class Clip:
    """One labelled recording."""

    path: str
    """Its file, relative to the folder of the audio, with `/` between the parts."""
    label: str
    fold: int
    """The dataset's own fold, >= 1."""
    group: str
    """The original recording that it was cut from."""


class Dataset(params.Parameters, ABC):
    """A dataset with its parameters."""

    @abstractmethod
    def collect(self, source: str, seed: int, audio: Path) -> list[Clip]:
        """Put the sound files of every clip into a folder.

        Args:
            source: a local folder or archive; empty where the dataset needs none.
            seed: for whatever is drawn at random.
            audio: an empty folder.

        Raises:
            InputError: the source is missing or is not this dataset.
        """


def load(name: str) -> Dataset:
    """The dataset `name` with its parameters from params.yaml.

    Raises:
        InputError: unknown name or wrong parameters.
    """
    return params.read(f"datasets.{name}", plugins.find(__name__, name, Dataset))
