"""Targeted attacks: one file an attack, found by its name; `base` holds what they share."""

from stages.attacks.base import load

__all__ = ["load"]
