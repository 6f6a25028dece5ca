"""Adversarial training on examples made on the fly (Madry et al. 2018)."""

from stages.defenses.base.pgd_training import PGDTraining


class PGD(PGDTraining):
    """Cross-entropy of the adversaries."""
