"""Momentum iterative fast gradient sign method (Dong et al. 2018)."""

from typing import Annotated

import foolbox
from pydantic import Field
from torch import Tensor

from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.linf import Iterative
from stages.attacks.base.results import Candidates
from stages.core.params import Number


class MIFGSM(Iterative):
    """BIM along the decaying sum of the gradients, each divided by its L1 norm."""

    paper = "Dong et al.: Boosting Adversarial Attacks with Momentum, CVPR 2018"

    decay: Annotated[Number, Field(ge=0, le=1)]

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Descend from `start`; each image ends where it fools the model, or after the last step."""
        return self.descend(model, inputs, budget, start, momentum=self.decay)
