"""Carlini and Wagner's L2 attack (2017)."""

from typing import Annotated, ClassVar

import foolbox
from foolbox import TargetedMisclassification
from foolbox.attacks import L2CarliniWagnerAttack
from pydantic import Field
from torch import Tensor, nn

from stages.attacks.base import Access
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.core.params import Count, Number
from stages.stores.perturbations import Norm

MARGIN = 0.05
"""Room beyond both ends of [0, 1] for the attack's tanh, which would hold bins that begin there for hundreds of steps.

Beyond the ends an image grows in L2, and the model sees nothing of it, so that examples gain nothing there.
"""


class CW(MinimumNorm):
    """The minimisation of the squared L2 norm plus a constant times the margin; bisection finds the constant."""

    norm: ClassVar[Norm] = "l2"
    access: ClassVar[Access] = "white_box"
    paper = "Carlini, Wagner: Towards Evaluating the Robustness of Neural Networks, IEEE S&P 2017"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    binary_search_steps: Annotated[Count, Field(ge=1, le=20)]
    stepsize: Annotated[Number, Field(gt=0, le=1)]
    initial_const: Annotated[Number, Field(gt=0)]
    confidence: Annotated[Number, Field(ge=0)]

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Take Foolbox's best examples, in L2; zeros where it found none."""
        attack = L2CarliniWagnerAttack(
            binary_search_steps=self.binary_search_steps,
            steps=self.steps,
            stepsize=self.stepsize,
            confidence=self.confidence,
            initial_const=self.initial_const,
            # Its test for an early end looks at the loss of the whole batch: results would depend on the batch.
            abort_early=False,
        )
        roomy = foolbox.PyTorchModel(Clamped(model), bounds=(-MARGIN, 1 + MARGIN), device=inputs.clean.device)
        found = attack.run(roomy, inputs.clean, TargetedMisclassification(inputs.targets))
        return Candidates.alike(found.clamp(0, 1), self.steps * self.binary_search_steps)


class Clamped(nn.Module):
    """A model that is shown images beyond [0, 1] as if they were at its ends."""

    def __init__(self, model: foolbox.PyTorchModel) -> None:
        """Wrap the victim."""
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits, shape (batch, classes)."""
        logits: Tensor = self.model(images.clamp(0, 1))
        return logits
