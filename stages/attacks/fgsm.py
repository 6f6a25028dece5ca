"""Fast gradient sign method, targeted (Goodfellow et al. 2015): one step of BIM, as Foolbox's own takes no target."""

from stages.attacks.base.linf import OneStep


class FGSM(OneStep):
    """A single signed gradient step of the whole budget."""
