"""Whether an adversarial store is of the clips, the targets and the parameters that are evaluated."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stages.attacks import Attack
from stages.console import InputError
from stages.crafting import Case
from stages.stores import Adversarial


def require_case(store: Adversarial, case: Case, path: Path, stage: str) -> None:
    """Check that a store holds the clips of a case.

    Raises:
        InputError: names the file, what differs, and the stage to run again.
    """
    pairs = {
        "clips": (store.clip, case.clip),
        "labels": (store.label, case.label),
        "targets": (store.target, case.target),
        "features": (store.clean, case.images),
    }
    for what, (stored, expected) in pairs.items():
        if not np.array_equal(stored, expected):
            raise InputError(f"{path} holds other {what} than the test clips; run `dvc repro {stage}`")


def require_attributes(store: Adversarial, expected: Mapping[str, Any], path: Path, stage: str) -> None:
    """Check the attributes of a store; raises as `require_case` does."""
    for name, value in expected.items():
        if (stored := store.attributes.get(name)) != value:
            raise InputError(f"{path} has {name} {stored!r}, not {value!r}; run `dvc repro {stage}`")


def require_parameters(store: Adversarial, attack: Attack, path: Path, stage: str) -> Attack:
    """The attack as many rungs up its ladder as the store says; raises likewise if the store is of another."""
    for _ in range(int(store.attributes.get("doublings", 0))):
        attack = attack.stronger()
    expected = attack.model_dump(mode="json")
    if (stored := json.loads(store.attributes.get("parameters", "null"))) != expected:
        raise InputError(f"{path} was made with the parameters {stored}, not {expected}; run `dvc repro {stage}`")
    return attack
