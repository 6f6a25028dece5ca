"""Checks the whole of params.yaml, every section against the class that it configures, before any work starts."""

from collections.abc import Callable
from functools import partial

from stages import architectures, attacks, console, datasets, defenses, params, plugins, representations
from stages.attacks import AttackParams
from stages.attacks.transfer import Transfer
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


def main() -> None:
    """Report every wrong key of params.yaml at once."""
    checks: list[Callable[[], object]] = [_sections]
    checks += [partial(params.read, section, schema) for section, schema in SCHEMAS.items()]
    checks += [partial(load, name) for section, load in LOADERS.items() for name in params.value(section)]
    checks += [_names]
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


def _names() -> None:
    """Every name that the parameters mention is that of a file."""
    grid: GridParams = params.read("grid", GridParams)
    datasets.load(params.read("dataset", SourceParams).name)
    defenses.load(params.read("harden", HardenParams).method)
    attacks.load(params.read("craft", CraftParams).attack)
    for name in grid.representation:
        representations.load(name)
    for name in [*grid.architecture, params.read("attacks.transfer", Transfer).architecture]:
        plugins.module(architectures.__name__, name)
    for name in grid.attack:
        attacks.load(name)


if __name__ == "__main__":
    console.run(main)
