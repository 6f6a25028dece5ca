"""The names of what the stages write; nothing else builds such a path."""

from dataclasses import dataclass
from pathlib import Path

RAW = Path("data/raw")
CLIPS = RAW / "clips.csv"
AUDIO = RAW / "audio"
REJECTED = RAW / "rejected.csv"
TERMS = RAW / "terms.md"
SOURCE = Path("data/source")
"""Where a user's recordings may be put: the default of `dataset.source`."""
METRICS = Path("metrics")
SUMMARY = METRICS / "summary.json"
COMPARISON = METRICS / "comparison.json"
REPORT = METRICS / "report.html"
TABLE = METRICS / "report.md"
CURVES = METRICS / "curves"
TIMINGS = METRICS / "timings"
"""Seconds of each stage: no artifact, as they differ between equal runs."""
FIGURES = METRICS / "figures"


def features(representation: str) -> Path:
    """The feature store of a representation."""
    return Path("data/features") / f"{representation}.h5"


@dataclass(frozen=True)
class CellPaths:
    """One (representation, architecture, fold) of the grid."""

    representation: str
    architecture: str
    fold: int

    def __str__(self) -> str:
        return f"{self.representation} {self.architecture} fold {self.fold}"

    @property
    def _folder(self) -> Path:
        return Path(self.representation) / self.architecture / f"fold{self.fold}"

    def stage(self, verb: str, *more: str) -> str:
        """The DVC stage of this cell, such as `train@stft-resnet18-5`."""
        return f"{verb}@" + "-".join([self.representation, self.architecture, str(self.fold), *more])

    def writer(self, model: str) -> str:
        """The DVC stage that writes the weights of `baseline` or `hardened`."""
        return self.stage({"baseline": "train", "hardened": "harden"}[model])

    def model(self, model: str) -> Path:
        """Weights of `baseline` or `hardened`."""
        return Path("models") / self._folder / f"{model}.safetensors"

    def card(self, model: str) -> Path:
        """Model card of `baseline` or `hardened`."""
        return self.model(model).with_suffix(".md")

    def history(self, model: str) -> Path:
        """Training history of `baseline` or `hardened`, a row an epoch."""
        return METRICS / "training" / self._folder / f"{model}.csv"

    def crafted(self) -> Path:
        """The adversarial training set."""
        return Path("data/adversarial") / self._folder / "training.h5"

    def attack(self, model: str, attack: str) -> Path:
        """The adversarial store of one attack on one model."""
        return Path("data/adversarial") / self._folder / model / f"{attack}.h5"

    def metrics(self, model: str) -> Path:
        """The metrics of `baseline` or `hardened`."""
        return METRICS / self._folder / f"{model}.json"

    def plots(self, model: str) -> Path:
        """Folder of the tables and pictures behind the metrics."""
        return METRICS / "plots" / self._folder / model

    def assets(self, model: str) -> Path:
        """Folder of the pictures and sounds that the report shows."""
        return Path("data/report") / self._folder / model

    def metrics_copy(self, model: str) -> Path:
        """The metrics once more, for the report: it cannot depend on files that lie between those that it writes."""
        return self.assets(model) / "metrics.json"
