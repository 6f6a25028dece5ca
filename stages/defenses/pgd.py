"""Adversarial training on examples made on the fly (Madry et al. 2018)."""

from stages.defenses.base.pgd_training import PGDTraining


class PGD(PGDTraining):
    """The defense by the cross-entropy of the adversaries."""
