"""Checks the whole of params.yaml, every section against the class that it configures, before any work starts."""

from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType

from stages import architectures, attacks, console, datasets, defenses, params, plugins, representations
from stages.attacks import AttackParams
from stages.audio import AudioParams
from stages.augmentation import AugmentationParams
from stages.compute import ComputeParams
from stages.console import InputError
from stages.craft import CraftParams
from stages.download import SourceParams
from stages.features import FeaturesParams
from stages.grid import GridParams
from stages.harden import HardenParams
from stages.lessons import LearningParams
from stages.report import ReportParams

SCHEMAS = {
    "seed": params.Seed,
    "dataset": SourceParams,
    "audio": AudioParams,
    "features": FeaturesParams,
    "train": LearningParams,
    "augmentation": AugmentationParams,
    "attack": AttackParams,
    "craft": CraftParams,
    "harden": HardenParams,
    "report": ReportParams,
    "compute": ComputeParams,
    "grid": GridParams,
}

LOADERS: dict[str, Callable[[str], object]] = {
    "datasets": datasets.load,
    "representations": representations.load,
    "attacks": attacks.load,
    "defenses": defenses.load,
}

KINDS = {
    "dataset.name": datasets,
    "grid.representation": representations,
    "grid.architecture": architectures,
    "grid.attack": attacks,
    "attacks.transfer.architecture": architectures,
    "craft.attack": attacks,
    "harden.method": defenses,
}
"""What each key names one of, or several."""


def main() -> None:
    """Report every wrong key of params.yaml at once."""
    checks: list[Callable[[], object]] = [_sections]
    checks += [partial(params.read, section, schema) for section, schema in SCHEMAS.items()]
    checks += [partial(load, name) for section, load in LOADERS.items() for name in params.value(section)]
    checks += _mentioned()
    if problems := [message for check in checks if (message := _problem(check))]:
        raise InputError("\n".join(dict.fromkeys(problems)))


def _problem(check: Callable[[], object]) -> str:
    try:
        check()
    except InputError as error:
        return str(error)
    return ""


def _sections() -> None:
    known = {*SCHEMAS, *LOADERS}
    for section in params.sections():
        if section not in known:
            raise InputError(f"{params.FILE}: {section}: unknown key; the keys here are: {', '.join(sorted(known))}")


def _mentioned() -> Iterator[Callable[[], object]]:
    """A check of each name that the parameters mention: it is that of a file, which has its parameters."""
    for key, kind in KINDS.items():
        try:
            found = params.value(key)
        except InputError:
            yield partial(params.value, key)
            continue
        for name in found if isinstance(found, list) else [found]:
            yield partial(_known, key, kind, name)


def _known(key: str, kind: ModuleType, name: str) -> None:
    try:
        plugins.module(kind.__name__, name)
    except InputError as error:
        raise InputError(f"{params.FILE}: {key}: {error}") from error
    if load := LOADERS.get(kind.__name__.rpartition(".")[2]):
        load(name)


if __name__ == "__main__":
    console.run(main)
