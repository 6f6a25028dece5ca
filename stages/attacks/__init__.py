"""Targeted attacks: one file an attack, found by its name; `base` holds what they share."""

from stages.attacks.base import load, require_sense

__all__ = ["load", "require_sense"]
