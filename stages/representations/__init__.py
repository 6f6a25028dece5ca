"""Waveform to image: one file a representation, found by its name; `base` holds what they share."""

from stages.representations.base import load

__all__ = ["load"]
