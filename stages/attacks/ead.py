"""Elastic-net attack (Chen et al. 2018)."""

from typing import Annotated, ClassVar

import foolbox
from foolbox import TargetedMisclassification
from foolbox.attacks import EADAttack
from pydantic import Field

from stages.attacks.base import Access
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.core.params import Count, Number
from stages.stores.perturbations import Norm


class EAD(MinimumNorm):
    """Carlini and Wagner's attack with the L1 norm added to the objective."""

    norm: ClassVar[Norm] = "l1"
    access: ClassVar[Access] = "white_box"
    paper = "Chen et al.: EAD: Elastic-Net Attacks to Deep Neural Networks via Adversarial Examples, AAAI 2018"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    binary_search_steps: Annotated[Count, Field(ge=1, le=20)]
    initial_stepsize: Annotated[Number, Field(gt=0, le=1)]
    initial_const: Annotated[Number, Field(gt=0)]
    regularization: Annotated[Number, Field(gt=0, le=1)]
    confidence: Annotated[Number, Field(ge=0)]

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Take Foolbox's best examples, in L1; zeros where it found none."""
        attack = EADAttack(
            binary_search_steps=self.binary_search_steps,
            steps=self.steps,
            initial_stepsize=self.initial_stepsize,
            confidence=self.confidence,
            initial_const=self.initial_const,
            regularization=self.regularization,
            decision_rule="L1",
            # Its test for an early end looks at the loss of the whole batch: results would depend on the batch.
            abort_early=False,
        )
        found = attack.run(model, inputs.clean, TargetedMisclassification(inputs.targets))
        # It looks at the model twice a step: for the gradient, and for the verdict.
        return Candidates.alike(found, 2 * self.steps * self.binary_search_steps)
