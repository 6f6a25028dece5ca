"""Device, precision and processes: what the machine has, unless params.yaml says otherwise."""

import os
from typing import Annotated, Literal

from pydantic import Field

from stages.params import Count, Parameters


class ComputeParams(Parameters):
    """Where and how the work is done; results are the same to rounding, so no stage tracks it."""

    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "bfloat16", "float32"]
    workers: Annotated[Count, Field(ge=0)]
    batch_size: Annotated[Count, Field(ge=1)]

    @property
    def processes(self) -> int:
        """Number of worker processes: `workers`, or one a core where that is 0."""
        return self.workers or os.cpu_count() or 1
