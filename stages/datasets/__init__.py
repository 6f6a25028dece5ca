"""Labelled recordings: one file a dataset, found by its name; `base` holds what they share."""

from stages.datasets.base import load

__all__ = ["load"]
