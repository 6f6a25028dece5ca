"""The names of what the stages write; nothing else builds such a path."""

from dataclasses import dataclass
from pathlib import Path

RAW = Path("data/raw")
CLIPS = RAW / "clips.csv"
AUDIO = RAW / "audio"
REJECTED = RAW / "rejected.csv"
TERMS = RAW / "terms.md"
SOURCE = Path("data/source")
"""Folder that a user's recordings may be put into: the default of `dataset.source`."""
METRICS = Path("metrics")
SUMMARY = METRICS / "summary.json"
DETAILS = METRICS / "details.json"
"""File of the numbers that the summary leaves out, so that it can be read in a terminal."""
COMPARISON = METRICS / "comparison.json"
REPORT = METRICS / "report.html"
TABLE = METRICS / "report.md"
CURVES = METRICS / "curves"
TIMINGS = METRICS / "timings"
"""Folder of the seconds that each stage took: no artifact, as they differ between equal runs."""
FIGURES = METRICS / "figures"


def features(representation: str) -> Path:
    """Name the feature store of a representation."""
    return Path("data/features") / f"{representation}.h5"


@dataclass(frozen=True)
class CellPaths:
    """One cell of the grid (representation, architecture, fold), with the names of its stages and files."""

    representation: str
    architecture: str
    fold: int

    def __str__(self) -> str:
        return f"{self.representation} {self.architecture} fold {self.fold}"

    @property
    def _folder(self) -> Path:
        return Path(self.representation) / self.architecture / f"fold{self.fold}"

    def stage(self, verb: str, *more: str) -> str:
        """Name the DVC stage of this cell, such as `train@stft-resnet18-5`."""
        return f"{verb}@" + "-".join([self.representation, self.architecture, str(self.fold), *more])

    def writer(self, model: str) -> str:
        """Name the DVC stage that writes the weights of `baseline` or `hardened`."""
        return self.stage({"baseline": "train", "hardened": "harden"}[model])

    def model(self, model: str) -> Path:
        """Name the file of the weights of `baseline` or `hardened`."""
        return Path("models") / self._folder / f"{model}.safetensors"

    def card(self, model: str) -> Path:
        """Name the model card of `baseline` or `hardened`."""
        return self.model(model).with_suffix(".md")

    def history(self, model: str) -> Path:
        """Name the training history of `baseline` or `hardened`, which has one row per epoch."""
        return METRICS / "training" / self._folder / f"{model}.csv"

    def crafted(self) -> Path:
        """Name the store of the adversarial training set."""
        return Path("data/adversarial") / self._folder / "training.h5"

    def attack(self, model: str, attack: str) -> Path:
        """Name the adversarial store of one attack on one model."""
        return Path("data/adversarial") / self._folder / model / f"{attack}.h5"

    def target_costs(self, model: str, attack: str) -> Path:
        """Name the table of what every wrong class costs of each clip, which is made on request."""
        return Path("data/targets") / self._folder / model / f"{attack}.csv"

    def metrics(self, model: str) -> Path:
        """Name the file of the metrics of `baseline` or `hardened`: those that it is judged by."""
        return METRICS / self._folder / f"{model}.json"

    def details(self, model: str) -> Path:
        """Name the file of all other metrics of `baseline` or `hardened`."""
        return self.metrics(model).with_suffix(".details.json")

    def plots(self, model: str) -> Path:
        """Name the folder of the tables and pictures behind the metrics."""
        return METRICS / "plots" / self._folder / model

    def assets(self, model: str) -> Path:
        """Name the folder of the pictures and sounds that the report shows."""
        return Path("data/report") / self._folder / model

    def facts_copy(self, model: str) -> Path:
        """Name the copy of what the model's file says of itself, for the report."""
        return self.assets(model) / "facts.json"

    def metrics_copy(self, model: str) -> Path:
        """Name the copy of all metrics for the report, which cannot depend on files between those that it writes."""
        return self.assets(model) / "metrics.json"
