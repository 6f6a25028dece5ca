"""Square attack on the waveform (Andriushchenko et al. 2020)."""

import foolbox
import torch
from torch import Tensor

from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.random_search import RandomSearch, changed_share
from stages.attacks.base.results import Candidates
from stages.attacks.base.sound import SoundAttack, column
from stages.models.victim import logit_margin

LOWEST = 1e-3
"""Lowest pitch of a proposal, as a share of the sample rate."""


class SoundSquare(RandomSearch, SoundAttack):
    """Random search by scores alone: stretches of a square wave, every sample at the budget, kept where they help.

    The paper's squares of an image are stretches of time here, and a square wave of random pitch instead of a constant,
    which is no sound.
    """

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs, budget: Tensor, start: Tensor) -> Candidates:
        """Search from a random square wave; `start` is of no use, as its samples are not all at the budget."""
        generators = inputs.generators()
        delta = budget * self._waves(inputs.clean, generators)
        best, lead = self._look(model, inputs, delta)
        for query in range(1, self.queries):
            stretches = self._stretches(inputs.clean, generators, query / self.queries)
            proposed = torch.where(stretches, budget * self._waves(inputs.clean, generators), delta)
            examples, margins = self._look(model, inputs, proposed)
            better = column(margins > lead)
            delta, best = torch.where(better, proposed, delta), torch.where(better, examples, best)
            lead = torch.maximum(margins, lead)
        return Candidates.alike(best, self.queries)

    def _look(self, model: foolbox.PyTorchModel, inputs: AttackInputs, delta: Tensor) -> tuple[Tensor, Tensor]:
        examples = (inputs.clean + delta).clamp(0, 1)
        with torch.no_grad():
            return examples, logit_margin(model(examples), inputs.targets)

    def _waves(self, clean: Tensor, generators: list[torch.Generator]) -> Tensor:
        """Draw a square wave of 1 and -1 for each clip, of any pitch up to half the sample rate; shape of the clips."""
        pitch, phase = torch.stack([torch.rand(2, generator=generator) for generator in generators]).to(clean).T
        cycles = LOWEST * (0.5 / LOWEST) ** column(pitch) * torch.arange(clean.shape[-1], device=clean.device)
        return torch.where((cycles + column(phase)) % 1 < 0.5, 1.0, -1.0)

    def _stretches(self, clean: Tensor, generators: list[torch.Generator], done: float) -> Tensor:
        """Draw the stretch of each clip that a proposal changes: a mask in the shape of the clips."""
        samples = clean.shape[-1]
        length = max(1, round(changed_share(self.first_share, done) * samples))
        begins = torch.stack([torch.rand((), generator=generator) for generator in generators]).to(clean)
        place = torch.arange(samples, device=clean.device) - column(begins * (samples - length)).floor()
        inside: Tensor = (place >= 0) & (place < length)
        return inside
