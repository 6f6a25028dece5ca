"""Adversarial training on examples made on the fly (Madry et al. 2018)."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from stages.attacks._descent import descend
from stages.compute import ComputeParams
from stages.defenses import Defense
from stages.params import Count, Number
from stages.prediction import expose


class PGD(Defense):
    """Projected gradient descent towards the targets, from the clip itself, against the model as it is now."""

    eps: Annotated[Number, Field(gt=0, le=1)]
    steps: Annotated[Count, Field(ge=1)]
    rel_stepsize: Annotated[Number, Field(gt=0, le=1)]

    def images(self, model: nn.Module, images: Tensor, targets: Tensor, compute: ComputeParams) -> Tensor:
        """Examples within `eps` of the images, made with the model in evaluation mode."""
        model.eval().requires_grad_(False)
        budget = images.new_full((len(images), 1, 1, 1), self.eps)
        exposed = expose(model, compute)
        examples = descend(exposed, images, targets, budget, steps=self.steps, rel_stepsize=self.rel_stepsize)
        model.requires_grad_(True)
        return examples
