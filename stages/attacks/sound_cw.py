"""Carlini and Wagner's attack on audio (2018)."""

from typing import Annotated

import foolbox
import torch
from pydantic import Field
from torch import Tensor

from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.attacks.base.sound import SoundAttack, column, level, rms
from stages.core.params import Count, Number
from stages.models.victim import logit_margin

SHRINK = 0.8
"""Factor of the bound on the peak at each success, as in the paper's code."""


class SoundCW(SoundAttack, MinimumNorm):
    """Adam on the perturbation's power plus a constant times the margin, below a peak that falls at each success."""

    paper = "Carlini, Wagner: Audio Adversarial Examples: Targeted Attacks on Speech-to-Text, DLS 2018"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    stepsize: Annotated[Number, Field(gt=0, le=1)]
    const: Annotated[Number, Field(gt=0)]
    confidence: Annotated[Number, Field(ge=0)]
    first_peak: Annotated[Number, Field(gt=0, le=1)]

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Take the smallest perturbation that fools, or the clip where none did."""
        clean, unit = inputs.clean, level(inputs.clean)
        bound = self.first_peak * (2 * clean - 1).abs().amax(dim=(1, 2, 3), keepdim=True) / 2
        best, smallest = clean, torch.full_like(unit, torch.inf)
        # In units of the clip's level, so that one step size serves quiet clips and loud ones.
        delta = torch.zeros_like(clean, requires_grad=True)
        adam = torch.optim.Adam([delta], self.stepsize)
        for _ in range(self.steps):
            examples = (clean + (unit * delta).clamp(-bound, bound)).clamp(0, 1)
            margins = logit_margin(model(examples), inputs.targets)
            self._step(adam, delta, margins)
            found, fooled = examples.detach(), column(margins.detach() > 0)
            size = rms(found - clean)
            best = torch.where(fooled & (size < smallest), found, best)
            smallest = torch.where(fooled, torch.minimum(size, smallest), smallest)
            peak = (found - clean).abs().amax(dim=(1, 2, 3), keepdim=True)
            bound = torch.where(fooled, SHRINK * torch.minimum(bound, peak), bound)
        return Candidates.alike(best, self.steps)

    def _step(self, adam: torch.optim.Adam, delta: Tensor, margins: Tensor) -> None:
        power = delta.square().mean(dim=(1, 2, 3))
        loss = power + self.const * (self.confidence - margins).clamp(min=0)
        (delta.grad,) = torch.autograd.grad(loss.sum(), delta)
        adam.step()
