"""Where and how the work is done. No stage tracks it: a change reruns nothing, and changes results by rounding alone.

The one exception is dropout, which each of several processes draws for itself.
"""

import os
from typing import Annotated, Literal

from pydantic import Field

from stages.core.params import Count, Parameters


class ComputeParams(Parameters):
    """Devices, precision, processes, and how many clips are predicted or attacked at a time."""

    device: Literal["auto", "cpu", "cuda", "mps"]
    devices: Annotated[Count, Field(ge=1)]
    nodes: Annotated[Count, Field(ge=1)]
    precision: Literal["auto", "bfloat16", "float32"]
    workers: Annotated[Count, Field(ge=0)]
    batch_size: Annotated[Count, Field(ge=1)]

    @property
    def jobs(self) -> int:
        """The number of clips that are read side by side: `workers`, or one per core where `workers` is 0."""
        return self.workers or os.cpu_count() or 1

    @property
    def world_size(self) -> int:
        """The number of processes that train or attack one model together, one for each device of each machine."""
        return self.devices * self.nodes
