"""Accuracy traded for robustness by a regulariser (TRADES, Zhang et al. 2019)."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from stages.core.params import Number
from stages.defenses.base.pgd_training import PGDTraining
from stages.training.batches import Batch
from stages.training.objectives import cross_entropy


class TRADES(PGDTraining):
    """The loss: cross-entropy of the clean clips + beta KL(p(clean) || p(adversary)).

    The adversary descends towards a wrong class, like the attacks that measure robustness; the paper's adversary climbs
    the divergence.
    """

    beta: Annotated[Number, Field(ge=0, le=100)]

    def loss(
        self, model: nn.Module, adversarial: Tensor, batch: Batch, label_smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Compute the sum of the two terms, and the logits of the adversaries."""
        clean_loss, clean = cross_entropy(model, batch.images, batch, label_smoothing)
        _, logits = cross_entropy(model, adversarial, batch, label_smoothing)
        divergence = functional.kl_div(
            logits.float().log_softmax(1), clean.float().log_softmax(1), reduction="batchmean", log_target=True
        )
        return clean_loss + self.beta * divergence, logits
