"""Changes to params.yaml in a working folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def set_params(workdir: Path, changes: Mapping[str, object]) -> None:
    """Set values by their dotted keys, such as `attack.eps`; each must be there already."""
    document = _read(workdir)
    for key, value in changes.items():
        section, name = _place(document, key)
        assert name in section, key
        section[name] = value
    _write(workdir, document)


def add_param(workdir: Path, key: str, value: object) -> None:
    """Add a key that is not there."""
    document = _read(workdir)
    section, name = _place(document, key)
    assert name not in section, key
    section[name] = value
    _write(workdir, document)


def remove_param(workdir: Path, key: str) -> None:
    """Remove a key."""
    document = _read(workdir)
    section, name = _place(document, key)
    del section[name]
    _write(workdir, document)


def _place(document: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    *sections, name = key.split(".")
    for section in sections:
        document = document[section]
    return document, name


def _read(workdir: Path) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe").load(workdir / "params.yaml")
    return document


def _write(workdir: Path, document: dict[str, Any]) -> None:
    YAML(typ="safe").dump(document, workdir / "params.yaml")
