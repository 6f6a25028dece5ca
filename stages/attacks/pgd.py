"""Projected gradient descent from random points (Madry et al. 2018)."""

from typing import Annotated

import foolbox
import torch
from pydantic import Field
from torch import Tensor

from stages.attacks import Clips, Tried
from stages.attacks._iterative import Iterative
from stages.params import Count


class PGD(Iterative):
    """BIM from random points of the ball, again where it fails."""

    paper = "Madry et al.: Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018"

    restarts: Annotated[Count, Field(ge=1, le=100)]

    def examples(self, model: foolbox.PyTorchModel, clips: Clips, budget: Tensor, start: Tensor) -> Tried:
        """The end of the first descent that fools the model, or of the last."""
        examples, passes = clips.images.clone(), torch.zeros(len(clips), dtype=torch.int64)
        generators = clips.generators()
        active = torch.arange(len(clips))
        for _ in range(self.restarts):
            corners = [torch.rand(clips.images.shape[1:], generator=generator) * 2 - 1 for generator in generators]
            starts = clips.images + budget * torch.stack(corners).to(clips.images)
            tried = self.descended(model, clips[active], budget[active], starts[active])
            examples[active] = tried.examples
            passes[active] += tried.passes + 1
            active = active[(model(tried.examples).argmax(1) != clips.targets[active]).cpu()]
            if not len(active):
                break
        return Tried(examples, passes)
