"""Projected gradient descent from random points (Madry et al. 2018)."""

from typing import Annotated

import foolbox
import torch
from pydantic import Field
from torch import Tensor

from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.linf import Iterative, random_points
from stages.attacks.base.results import Candidates
from stages.core.params import Count
from stages.models.victim import exact_logits


class PGD(Iterative):
    """BIM from random points of the ball, repeated where it fails."""

    paper = "Madry et al.: Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018"

    restarts: Annotated[Count, Field(ge=1, le=100)]

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Take the end of the first descent that fools the model, or of the last."""
        examples, queries = inputs.clean.clone(), torch.zeros(len(inputs), dtype=torch.int64)
        generators = inputs.generators()
        active = torch.arange(len(inputs))
        for _ in range(self.restarts):
            starts = random_points(inputs, budget, generators)
            tried = self.descend(model, inputs[active], budget[active], starts[active])
            examples[active] = tried.examples
            queries[active] += tried.queries + 1
            active = active[(exact_logits(model, tried.examples).argmax(1) != inputs.targets[active]).cpu()]
            if not len(active):
                break
        return Candidates(examples, queries)
