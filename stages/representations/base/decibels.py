"""The scale of an image: power in decibels, over a dynamic range, on [0, 1]."""

from typing import Literal

import torch
from torch import Tensor, nn

Reference = Literal["peak", "rms"]

HEADROOM_DB = 25.0
"""Level of an image's 1 above the mean power of its bins, in dB, where the reference is `rms`."""

SILENCE = 1e-30
"""Reference power below which a clip counts as silent: that of samples of about 1e-15."""


class Decibels(nn.Module):
    """Power to 1 + 10 log10(power / reference) / range_db, clipped to [0, 1].

    The reference is the clip's maximum (`peak`), so that the image has a 1 whatever the clip's loudness, or lies
    HEADROOM_DB above the mean power of its bins (`rms`), which no single bin moves much; louder bins are clipped.
    Silence is 0 everywhere, and its gradients are 0.

    Example:
        >>> Decibels(80.0, "peak")(torch.tensor([[[1.0, 0.1, 0.0]]]))
        tensor([[[[1.0000, 0.8750, 0.0000]]]])
    """

    def __init__(self, range_db: float, reference: Reference) -> None:
        """Set the scale.

        Args:
            range_db: level of 0 below that of 1, in dB.
            reference: what the level of 1 is taken from.
        """
        super().__init__()
        self.range_db, self.reference = range_db, reference

    def forward(self, power: Tensor) -> Tensor:
        """Scale power, shape (batch, rows, frames), not negative, to images, shape (batch, 1, rows, frames)."""
        relative = power / self._reference(power).clamp(min=SILENCE)
        level = 10 / self.range_db * torch.log10(relative.clamp(min=10 ** (-self.range_db / 10)))
        return (1 + level).clamp(0, 1)[:, None]

    def _reference(self, power: Tensor) -> Tensor:
        if self.reference == "peak":
            return power.amax((1, 2), keepdim=True)
        return power.mean((1, 2), keepdim=True) * 10 ** (HEADROOM_DB / 10)
