"""Networks for one-channel images: one file an architecture, found by its name; `base` holds what they share."""

from stages.architectures.base import build

__all__ = ["build"]
