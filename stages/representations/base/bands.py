"""What the images of all transforms have in common: bands by frames, and their scale."""

from abc import ABC
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stages.core.arrays import Floats
from stages.core.params import Count, Number
from stages.representations.base import Representation, front_end, rendering
from stages.representations.base.decibels import Decibels, Reference
from stages.representations.base.pooling import constant


class Bands(Representation, ABC):
    """Power in bands and frames, in decibels."""

    rows: Annotated[Count, Field(ge=16, le=512)]
    frames: Annotated[Count, Field(ge=16, le=512)]
    range_db: Annotated[Number, Field(ge=10, le=160)]
    reference: Reference

    def decibels(self) -> Decibels:
        """Make the scale of the image."""
        return Decibels(self.range_db, self.reference)

    def render(self, waveforms: Tensor, sample_rate: int, images: Tensor) -> Tensor:
        """Fit gains on the clips' STFTs by descent, for transforms whose bands or windows overlap."""
        return rendering.descend(front_end(self, waveforms.shape[1], sample_rate), waveforms, images)


class PooledPower(nn.Module):
    """Power at the bins and places of a transform, pooled to the rows and frames of an image."""

    rows: Tensor
    frames: Tensor

    def __init__(self, rows: Floats, frames: Floats) -> None:
        """Take the matrices that pool, shape (rows, bins) and (frames, places)."""
        super().__init__()
        self.register_buffer("rows", constant(rows))
        self.register_buffer("frames", constant(frames.T))

    def forward(self, power: Tensor) -> Tensor:
        """Pool power, shape (batch, bins, places), to shape (batch, rows, frames)."""
        return torch.matmul(self.rows, power @ self.frames)
