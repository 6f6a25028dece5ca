"""The adversarial stores of a model, read back: of its very clips, targets and parameters, or an error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages.attacks.base import Attack, AttackParams, restore
from stages.attacks.base.inputs import AttackInputs
from stages.core.arrays import Array
from stages.core.errors import InputError
from stages.core.paths import CellPaths
from stages.stores import provenance
from stages.stores.adversarial import Adversarial, read_adversarial


@dataclass(frozen=True)
class StoredAttack:
    """An adversarial store, and the attack that made it, as it was run."""

    store: Adversarial
    attack: Attack


def read_attacks(
    cell: CellPaths, model: str, names: Sequence[str], inputs: AttackInputs, settings: AttackParams
) -> dict[str, StoredAttack]:
    """Read the adversarial stores of attacks on one model of a cell, and restore the attacks.

    Args:
        cell: the cell, which names the files.
        model: `baseline` or `hardened`.
        names: names of the attacks.
        inputs: the test clips.
        settings: the budgets that the attacks must have been run for.

    Raises:
        InputError: a store is missing or damaged, or is of other clips, targets or parameters.
    """
    return {name: _read(cell, model, name, inputs, settings) for name in names}


def _read(cell: CellPaths, model: str, name: str, inputs: AttackInputs, settings: AttackParams) -> StoredAttack:
    path, stage = cell.attack(model, name), cell.stage("attack", name)
    store = read_adversarial(path, stage)
    require_inputs(store, inputs, path, stage)
    require_attributes(store, {"victim": model, **settings.facts, **provenance.of_attack(name)}, path, stage)
    return StoredAttack(store, restore(name, store.attributes.get("parameters", "null")))


def require_inputs(store: Adversarial, inputs: AttackInputs, path: Path, stage: str) -> None:
    """Check that a store holds the clips, labels, targets, and images or sounds of the inputs.

    Raises:
        InputError: the store holds others; the message names the file, what differs, and the stage to run again.
    """
    pairs: dict[str, tuple[Array, Array]] = {
        "clips": (store.clip, inputs.clips),
        "labels": (store.label, inputs.labels.numpy()),
        "targets": (store.target, inputs.targets.numpy()),
        f"{inputs.domain.name}s": (store.clean, inputs.domain.stored(inputs.clean)),
    }
    for what, (stored, expected) in pairs.items():
        if not np.array_equal(stored, expected):
            raise InputError(f"{path} holds other {what} than the test clips; run `dvc repro {stage}`")


def require_attributes(store: Adversarial, expected: Mapping[str, Any], path: Path, stage: str) -> None:
    """Check the attributes of a store; raises as `require_inputs` does."""
    for name, value in expected.items():
        if not provenance.agree(stored := store.attributes.get(name), value):
            raise InputError(f"{path} has {name} {stored!r}, not {value!r}; run `dvc repro {stage}`")
