"""The classes of sound files, by a trained model."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from stages.audio import decoding
from stages.core.errors import InputError
from stages.inference.classifier import Classifier

BATCH = 32
"""Number of windows that are classified together."""


@dataclass(frozen=True)
class Prediction:
    """What a model takes a file for."""

    file: Path
    windows: int
    """Number of windows that the file was cut into."""
    ranking: tuple[tuple[str, float], ...]
    """Every class with its probability, the likeliest first."""

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.ranking[0][0]

    @property
    def probability(self) -> float:
        """The probability of the likeliest class."""
        return self.ranking[0][1]


def predict(classifier: Classifier, file: Path) -> Prediction:
    """Classify one sound file of any length, sample rate and number of channels.

    A file longer than the model's duration is cut into windows of it, evenly spaced from end to end, and their
    probabilities are averaged; a shorter one is padded with silence, as in training.

    Raises:
        InputError: the file cannot be read as sound.

    Example:
        >>> predict(load_classifier(Path("hardened.safetensors")), Path("street.flac")).label
        'dog'
    """
    windows = torch.from_numpy(decoding.windows(file, classifier.audio))
    with torch.no_grad():
        logits = torch.cat([classifier(batch.to(classifier.device)) for batch in windows.split(BATCH)])
    mean = logits.softmax(1).mean(0)
    order = mean.argsort(descending=True, stable=True).tolist()
    return Prediction(file, len(windows), tuple((classifier.classes[index], float(mean[index])) for index in order))


def predict_all(classifier: Classifier, files: Iterable[Path]) -> tuple[list[Prediction], list[InputError]]:
    """Classify files, as `predict` does; give the errors of those that cannot be read beside the predictions."""
    found, errors = [], []
    for file in files:
        try:
            found.append(predict(classifier, file))
        except InputError as error:
            errors.append(error)
    return found, errors


def sound_files(paths: Iterable[Path]) -> list[Path]:
    """List files as they are named, and of folders all that are sound by their names, at any depth, sorted.

    Raises:
        InputError: a path does not exist, or a folder holds no sounds.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist")
        inside = sorted(filter(decoding.is_sound, path.rglob("*"))) if path.is_dir() else [path]
        if not inside:
            endings = ", ".join(sorted(decoding.SUFFIXES))
            raise InputError(f"{path} holds no sound files, which are known by their endings: {endings}")
        found += inside
    return found
