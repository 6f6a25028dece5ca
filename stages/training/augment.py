"""Random changes of training images that keep their class, or mix two; drawn per clip and epoch."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from stages.core import seeding
from stages.core.params import Number, Parameters


class AugmentParams(Parameters):
    """The largest changes of the images, and how often a clip gives way to an augmented copy."""

    p_waveform_augment: Annotated[Number, Field(ge=0, le=1)]
    time_shift: Annotated[Number, Field(ge=0, le=1)]
    time_mask: Annotated[Number, Field(ge=0, le=0.5)]
    band_mask: Annotated[Number, Field(ge=0, le=0.5)]
    mixup: Annotated[Number, Field(ge=0, le=10)]
    noise: Annotated[Number, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Draw:
    """The random numbers of some clips in one epoch; row i belongs to clip i, whatever batch it comes in."""

    numbers: Tensor
    """Random numbers for the clip's own changes, shape (clips, 5), in [0, 1)."""
    partners: Tensor
    """Positions of the clips that are mixed in, shape (clips,)."""
    weights: Tensor
    """The clip's own share of the mixture, shape (clips,), in [0.5, 1]; the rest is its partner's."""
    seed: int
    """Seed of the run, by which noise is drawn clip by clip where there is to be any."""
    epoch: int


def versions(images: Tensor, copies: Tensor, seed: int, epoch: int, params: AugmentParams) -> Tensor:
    """Choose the versions that are trained on in an epoch: some clips give way to one of their augmented copies.

    Args:
        images: images of the N clips, shape (N, 1, height, width).
        copies: images of their augmented copies, shape (N, copies, height, width); without any, every clip stays.
        seed: the run's seed.
        epoch: number of the epoch.
        params: `p_waveform_augment` is the share of the clips that give way.

    Returns:
        the images, shape (N, 1, height, width).
    """
    count, choices = copies.shape[:2]
    if not choices:
        return images
    rng = seeding.generator(seed, "variant", epoch)
    varied = torch.from_numpy(rng.random((count, 1, 1, 1)) < params.p_waveform_augment)
    chosen = torch.from_numpy(rng.integers(0, choices, count))
    return torch.where(varied.to(images.device), copies[torch.arange(count), chosen][:, None], images)


def draw(seed: int, epoch: int, clips: int, params: AugmentParams) -> Draw:
    """Draw the randomness of an epoch.

    Args:
        seed: the run's seed.
        epoch: number of the epoch.
        clips: number of clips.
        params: `mixup` is alpha of Beta(alpha, alpha), which the weights follow; nothing is mixed where it is 0.
    """
    numbers = seeding.generator(seed, "augmentation", epoch).random((clips, 5), np.float32)
    mixing = seeding.generator(seed, "mixup", epoch)
    partners, weights = mixing.permutation(clips), np.ones(clips, np.float32)
    if params.mixup:
        weights = mixing.beta(params.mixup, params.mixup, clips).astype(np.float32)
    # Of the two clips the one with the greater share gives the label that accuracy is counted by.
    weights = np.maximum(weights, 1 - weights)
    return Draw(
        numbers=torch.from_numpy(numbers),
        partners=torch.from_numpy(partners),
        weights=torch.from_numpy(weights),
        seed=seed,
        epoch=epoch,
    )


def augment(images: Tensor, indices: Tensor, drawn: Draw, params: AugmentParams, silence: Tensor) -> Tensor:
    """Change some training clips, each by itself, then mix them with their partners (mixup, Zhang et al. 2018).

    Args:
        images: images of all N training clips, shape (N, 1, height, width), in [0, 1].
        indices: positions of the clips wanted, shape (batch,).
        drawn: the epoch's randomness.
        params: how far the images are changed and mixed.
        silence: value of each row in silence, shape (height,).

    Returns:
        the images, shape (batch, 1, height, width), in [0, 1].
    """
    own = _changed(images, indices, drawn, params, silence)
    if not params.mixup:
        return own
    weights = drawn.weights[indices, None, None, None].to(images.device)
    return torch.lerp(_changed(images, drawn.partners[indices], drawn, params, silence), own, weights)


def _changed(images: Tensor, indices: Tensor, drawn: Draw, params: AugmentParams, silence: Tensor) -> Tensor:
    numbers = drawn.numbers.to(images.device)
    changed = change(images[indices], numbers[indices], params, silence)
    return add_noise(changed, indices, drawn, params.noise) if params.noise else changed


def change(images: Tensor, numbers: Tensor, params: AugmentParams, silence: Tensor) -> Tensor:
    """Shift in time, then blank frames and a band of rows, as silence would (SpecAugment, Park et al. 2019).

    Args:
        images: images of the clips, shape (batch, 1, height, width), in [0, 1].
        numbers: the clips' rows of `Draw.numbers`.
        params: largest circular shift and largest stretches, as shares of the image.
        silence: value of each row in silence, shape (height,).
    """
    height, width = images.shape[2:]
    shift = ((2 * numbers[:, 0] - 1) * params.time_shift * width).round().long()
    columns = (torch.arange(width, device=images.device) - shift[:, None]) % width
    shifted = images.gather(3, columns[:, None, None, :].expand_as(images))
    frames = _stretch(width, numbers[:, 1] * params.time_mask, numbers[:, 2])
    rows = _stretch(height, numbers[:, 3] * params.band_mask, numbers[:, 4])
    blank = frames[:, None, None, :] | rows[:, None, :, None]
    return torch.where(blank, silence.to(shifted)[:, None], shifted)


def add_noise(images: Tensor, indices: Tensor, drawn: Draw, largest: float) -> Tensor:
    """Add white noise to each image, at a level of its own.

    Args:
        images: images of the clips, shape (batch, 1, height, width), in [0, 1].
        indices: positions of the clips among the training clips, shape (batch,).
        drawn: the epoch's randomness.
        largest: largest RMS of the noise, as a share of the image's range; each clip's is drawn between 0 and it.

    Returns:
        the images, clipped to [0, 1].
    """
    shape = images.shape[1:]
    rngs = [seeding.generator(drawn.seed, "noise", drawn.epoch, clip) for clip in indices.tolist()]
    noise = np.stack([np.float32(largest * rng.random()) * rng.standard_normal(shape, np.float32) for rng in rngs])
    return (images + torch.from_numpy(noise).to(images.device)).clamp(0, 1)


def _stretch(size: int, share: Tensor, place: Tensor) -> Tensor:
    """Mark a stretch of `share` of the axis, begun at `place` of the room that is left: shape (batch, size), bool."""
    length = (share * size).round()
    start = (place * (size - length)).round()
    positions = torch.arange(size, device=share.device)
    return (positions >= start[:, None]) & (positions < (start + length)[:, None])
