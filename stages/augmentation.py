"""Random changes of training images that keep their class; drawn per clip and epoch."""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from stages import seeding
from stages.params import Number, Parameters


class AugmentationParams(Parameters):
    """How far the images are changed."""

    time_shift: Annotated[Number, Field(ge=0, le=1)]
    time_mask: Annotated[Number, Field(ge=0, le=0.5)]
    band_mask: Annotated[Number, Field(ge=0, le=0.5)]


def draw(seed: int, epoch: int, clips: int) -> Tensor:
    """The random numbers of an epoch: shape (clips, 5), in [0, 1); row i is clip i's, whatever batch it comes in."""
    return torch.from_numpy(seeding.generator(seed, "augmentation", epoch).random((clips, 5), np.float32))


def augment(images: Tensor, numbers: Tensor, params: AugmentationParams) -> Tensor:
    """Shift each image in time, then blank one stretch of frames and one band of rows (SpecAugment, Park et al. 2019).

    Args:
        images: shape (batch, 1, height, width).
        numbers: the clips' rows of `draw`.
        params: largest circular shift and largest stretches, as shares of the image.
    """
    height, width = images.shape[2:]
    shift = ((2 * numbers[:, 0] - 1) * params.time_shift * width).round().long()
    columns = (torch.arange(width, device=images.device) - shift[:, None]) % width
    shifted = images.gather(3, columns[:, None, None, :].expand_as(images))
    frames = _stretch(width, numbers[:, 1] * params.time_mask, numbers[:, 2])
    rows = _stretch(height, numbers[:, 3] * params.band_mask, numbers[:, 4])
    return shifted.masked_fill(frames[:, None, None, :] | rows[:, None, :, None], 0.0)


def _stretch(size: int, share: Tensor, place: Tensor) -> Tensor:
    """Shape (batch, size): True on a stretch of `share` of the axis, begun at `place` of the room that is left."""
    length = (share * size).round()
    start = (place * (size - length)).round()
    positions = torch.arange(size, device=share.device)
    return (positions >= start[:, None]) & (positions < (start + length)[:, None])
