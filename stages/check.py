"""Checks the whole of params.yaml, every section against the class that it configures, before any work starts."""

from collections.abc import Callable, Iterator
from functools import partial

from stages import attacks, datasets, defenses, representations
from stages.attacks.base import AttackParams, CraftParams
from stages.audio import channels
from stages.audio.decoding import AudioParams
from stages.core import cli, params, plugins
from stages.core.compute import ComputeParams
from stages.core.errors import InputError
from stages.core.grid import GridParams
from stages.datasets.base.validation import DatasetParams
from stages.defenses.base.objective import HardenParams
from stages.reporting.report_files import ReportParams
from stages.representations.base.extraction import FeaturesParams
from stages.training.batches import TrainParams
from stages.training.recipes import Baselines, read_recipes

SCHEMAS = {
    "seed": params.Seed,
    "dataset": DatasetParams,
    "audio": AudioParams,
    "features": FeaturesParams,
    "train": TrainParams,
    "baselines": Baselines,
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
"""Loaders of the sections that have a part for each plug-in."""

KINDS = {
    "dataset.name": "datasets",
    "grid.representation": "representations",
    "grid.architecture": "architectures",
    "grid.attack": "attacks",
    "craft.attack": "attacks",
    "harden.method": "defenses",
}
"""Kind of plug-in that each key names, one or several of it."""


def main() -> None:
    """Report every wrong key of params.yaml at once."""
    checks: list[Callable[[], object]] = [_sections]
    checks += [partial(params.validate, section, schema) for section, schema in SCHEMAS.items()]
    checks += [partial(load, name) for section, load in LOADERS.items() for name in params.value(section)]
    checks += _mentioned()
    checks += [read_recipes, _channels]
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
    """Yield a check of each name that the parameters mention: it names a file, and the file has its parameters."""
    for key, kind in KINDS.items():
        try:
            found = params.value(key)
        except InputError:
            yield partial(params.value, key)
            continue
        for name in found if isinstance(found, list) else [found]:
            yield partial(_known, key, kind, name)


def _channels() -> None:
    """Check the channels that sounds must fool through."""
    for name in params.read("attack", AttackParams).expectation:
        try:
            channels.require(name)
        except InputError as error:
            raise InputError(f"{params.FILE}: attack.expectation: {error}") from error


def _known(key: str, kind: str, name: str) -> None:
    try:
        attacks.require_sense(name)
        plugins.module(f"stages.{kind}", name)
    except InputError as error:
        raise InputError(f"{params.FILE}: {key}: {error}") from error
    if load := LOADERS.get(kind):
        load(name)


if __name__ == "__main__":
    cli.run(main)
