"""What attacks that see nothing but decisions share."""

import torch
from foolbox import PyTorchModel
from torch import Tensor

from stages.attacks.base import bisection
from stages.attacks.base.inputs import AttackInputs


class Oracle:
    """A decision-only view of a model: it tells which images are taken for their targets, and counts the queries."""

    def __init__(self, model: PyTorchModel, inputs: AttackInputs) -> None:
        """Start the count of queries of each clip at zero.

        Args:
            model: a model that decides in float32.
            inputs: N clips, on the device.
        """
        self.model, self.inputs = model, inputs
        self.queries = torch.zeros(len(inputs), dtype=torch.int64)

    def __call__(self, images: Tensor, rows: Tensor) -> Tensor:
        """Tell which images of the clips at `rows` are taken for their targets: shape (batch,), bool, on the CPU."""
        self.queries[rows] += 1
        shown = self.inputs.domain.confined(images, self.inputs.clean[rows])
        fooled: Tensor = self.model(shown).argmax(1) == self.inputs.targets[rows]
        return fooled.cpu()

    def nearest(self, images: Tensor, rows: Tensor, halvings: int) -> Tensor:
        """Find the points nearest to the clips that still fool, by bisection along the lines to images that fool."""
        clean = self.inputs.clean[rows]

        def fools(share: Tensor, chosen: Tensor) -> Tensor:
            return self(between(clean[chosen], images[chosen], share.to(images.device)), rows[chosen])

        share = bisection.halve(fools, torch.ones(len(rows)), halvings)
        return between(clean, images, share.to(images.device))


def between(clean: Tensor, images: Tensor, share: Tensor) -> Tensor:
    """Interpolate from the clean images to the others by a share of the way, shape (batch,)."""
    return clean + share.reshape(-1, 1, 1, 1) * (images - clean)
