"""Adversarial training on examples made on the fly (Madry et al. 2018)."""

from stages.defenses._descending import Descending


class PGD(Descending):
    """Cross-entropy of the adversaries."""
