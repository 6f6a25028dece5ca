"""Finds a dataset, representation, architecture, attack or defense by the name of its file."""

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

from stages.core.errors import InputError

T = TypeVar("T")


def names(package: str) -> list[str]:
    """List the plug-ins of a package, such as `stages.attacks`: the names of its files, sorted, without folders.

    Example:
        >>> names("stages.defenses")
        ['augment', 'fast', 'free', 'mart', 'none', 'pgd', 'trades']
    """
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return sorted(module.name for module in found if not module.ispkg)


def module(package: str, name: str) -> ModuleType:
    """Import the plug-in `name` of a package.

    Raises:
        InputError: there is no such plug-in; the message lists those that there are.
    """
    if name not in names(package):
        kind = package.rpartition(".")[2]
        raise InputError(f"unknown name {name!r} among the {kind}; there are: {', '.join(names(package))}")
    return importlib.import_module(f"{package}.{name}")


def find(package: str, name: str, base: type[T]) -> type[T]:
    """Find the one public class that the plug-in `name` defines and that extends `base`.

    Raises:
        InputError: there is no such file, or no such class or several in it.
    """
    found = [
        item
        for key, item in vars(module(package, name)).items()
        if isinstance(item, type)
        and issubclass(item, base)
        and item.__module__ == f"{package}.{name}"
        and not key.startswith("_")
    ]
    if len(found) != 1:
        classes = ", ".join(item.__name__ for item in found) or "none"
        raise InputError(f"{package}.{name} must define one public class that extends {base.__name__}; found {classes}")
    return found[0]
