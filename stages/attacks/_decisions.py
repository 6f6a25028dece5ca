"""What attacks that see nothing but decisions share."""

import torch
from foolbox import PyTorchModel
from torch import Tensor

from stages.attacks import Clips


class Oracle:
    """Says whether images are taken for their targets, and counts how often it was asked about each clip."""

    def __init__(self, model: PyTorchModel, clips: Clips) -> None:
        """Begin to count.

        Args:
            model: one that decides in float32.
            clips: N of them, on the device.
        """
        self.model, self.clips = model, clips
        self.passes = torch.zeros(len(clips), dtype=torch.int64)

    def __call__(self, images: Tensor, rows: Tensor) -> Tensor:
        """Shape (batch,), bool, on the CPU, for images of the clips at `rows`."""
        self.passes[rows] += 1
        fooled: Tensor = self.model(images).argmax(1) == self.clips.targets[rows]
        return fooled.cpu()

    def nearest(self, images: Tensor, rows: Tensor, halvings: int) -> Tensor:
        """The points nearest to the clips, on the lines to images that fool, that fool too: by bisection."""
        clean = self.clips.images[rows]
        lower = images.new_zeros(len(rows))
        upper = torch.ones_like(lower)
        for _ in range(halvings):
            middle = (lower + upper) / 2
            fooled = self(between(clean, images, middle), rows).to(images.device)
            upper, lower = torch.where(fooled, middle, upper), torch.where(fooled, lower, middle)
        return between(clean, images, upper)


def between(clean: Tensor, images: Tensor, share: Tensor) -> Tensor:
    """Points at a share of the way from the clean images to the others, share of shape (batch,)."""
    return clean + share.reshape(-1, 1, 1, 1) * (images - clean)
