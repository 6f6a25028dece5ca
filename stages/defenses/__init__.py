"""Adversarial training: one file a defense, found by its name; `base` holds what they share."""

from stages.defenses.base import load, training_eps

__all__ = ["load", "training_eps"]
