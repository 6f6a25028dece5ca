"""Adversarial training that heeds clips that are misclassified anyway (MART, Wang et al. 2020)."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from stages.core.params import Number
from stages.defenses.base.pgd_training import PGDTraining
from stages.training.batches import Batch
from stages.training.objectives import cross_entropy

LEAST = 1e-6
"""Least probability left to the other classes, below which the logarithm is not followed."""


class MART(PGDTraining):
    """The loss: boosted cross-entropy of adversaries + weight * KL(p(clean) || p(adversary)) * (1 - p(clean, label)).

    The boost is -log(1 - p(adversary, k)) of the likeliest wrong class k.
    """

    weight: Annotated[Number, Field(ge=0, le=100)]

    def loss(
        self, model: nn.Module, adversarial: Tensor, batch: Batch, label_smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Compute the sum of the terms, and the logits of the adversaries."""
        _, clean_logits = cross_entropy(model, batch.images, batch, label_smoothing)
        adversarial_loss, logits = cross_entropy(model, adversarial, batch, label_smoothing)
        clean, attacked = clean_logits.float().log_softmax(1), logits.float().log_softmax(1)
        own = functional.one_hot(batch.labels, clean.shape[1]).bool()
        boost = -torch.log((1 - attacked.exp().masked_fill(own, 0).amax(1)).clamp(min=LEAST)).mean()
        divergence = functional.kl_div(attacked, clean, reduction="none", log_target=True).sum(1)
        return adversarial_loss + boost + self.weight * (divergence * (1 - clean.exp()[own])).mean(), logits
