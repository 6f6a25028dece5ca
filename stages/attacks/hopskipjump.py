"""HopSkipJump (Chen et al. 2020)."""

from typing import Annotated, ClassVar

import foolbox
import torch
from foolbox import PyTorchModel
from pydantic import Field
from torch import Tensor

from stages.attacks.base import Access
from stages.attacks.base.decisions import Oracle
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.core.params import Count, Number
from stages.stores.perturbations import Norm

HALVINGS = 10
"""Number of halvings of the way back to the boundary, and largest number of halvings of a step."""


class HopSkipJump(MinimumNorm):
    """A walk along the boundary from a training clip of the target class; it sees nothing but decisions."""

    norm: ClassVar[Norm] = "l2"
    access: ClassVar[Access] = "black_box"
    paper = "Chen, Jordan, Wainwright: HopSkipJumpAttack, IEEE S&P 2020"
    needs_starting_points: ClassVar[bool] = True

    steps: Annotated[Count, Field(ge=1, le=1000)]
    num_evals: Annotated[Count, Field(ge=1, le=10000)]
    delta: Annotated[Number, Field(gt=0, le=1)]

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Run `BoundaryWalk` on the clips."""
        walk = BoundaryWalk(steps=self.steps, num_evals=self.num_evals, delta=self.delta)
        return walk.from_starts(model, inputs)


class BoundaryWalk:
    """The walk in L2, with a start and random numbers of each clip's own; a clip without a start fails alone.

    Foolbox's attack draws its random numbers for the whole batch, divides gradients by the norm of the whole batch,
    and asks about all clips until the last has found its step.
    """

    def __init__(self, *, steps: int, num_evals: int, delta: float) -> None:
        """Set the parameters.

        Args:
            steps: number of steps along the boundary, >= 1.
            num_evals: evaluations of the first gradient estimate; the k-th takes the square root of k times as many.
            delta: distance of the evaluations from the boundary, as a share of the distance from the clip.
        """
        self.steps, self.num_evals, self.delta = steps, num_evals, delta

    def from_starts(self, model: PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Walk from each clip's start to the last step; keep the clean clip where there is no start.

        Args:
            model: a model that decides in float32.
            inputs: a batch of clips, on the device.
        """
        oracle, generators = Oracle(model, inputs), inputs.generators()
        everyone = torch.arange(len(inputs))
        rows = everyone[oracle(inputs.starts, everyone)]
        examples = inputs.clean.clone()
        examples[rows] = oracle.nearest(inputs.starts[rows], rows, HALVINGS)
        for step in range(1, self.steps + 1):
            count = round(self.num_evals * step**0.5)
            distance = (examples[rows] - inputs.clean[rows]).square().sum(dim=(1, 2, 3), keepdim=True).sqrt()
            gradient = self._gradient(oracle, examples[rows], rows, generators, count, self.delta * distance)
            moved = self._moved(oracle, examples[rows], rows, distance / step**0.5 * gradient)
            examples[rows] = oracle.nearest(moved, rows, HALVINGS)
        return Candidates(examples, oracle.queries)

    def _gradient(
        self,
        oracle: Oracle,
        images: Tensor,
        rows: Tensor,
        generators: list[torch.Generator],
        count: int,
        radius: Tensor,
    ) -> Tensor:
        """Estimate the direction into the target's region from decisions around the images (section III-C)."""
        weighted, plain = torch.zeros_like(images), torch.zeros_like(images)
        free = oracle.inputs.domain.free(images)
        total = images.new_zeros(len(rows), 1, 1, 1)
        for _ in range(count if len(rows) else 0):
            draws = [torch.randn(images.shape[1:], generator=generators[row]) for row in rows.tolist()]
            noise = _normalised(free * torch.stack(draws).to(images))
            probes = (images + radius * noise).clamp(0, 1)
            signs = 2 * oracle(probes, rows).to(images).reshape(-1, 1, 1, 1) - 1
            direction = (probes - images) / radius
            weighted, plain, total = weighted + signs * direction, plain + direction, total + signs
        one_sided = total.abs() == count
        mean = torch.where(one_sided, torch.zeros_like(total), total / count)
        return _normalised(weighted - mean * plain)

    def _moved(self, oracle: Oracle, images: Tensor, rows: Tensor, step: Tensor) -> Tensor:
        """Move the images by a step, halved until they still fool; leave them as they were where no step does."""
        moved, left = images.clone(), torch.arange(len(rows))
        for halving in range(HALVINGS):
            if not len(left):
                break
            proposals = (images[left] + step[left] / 2**halving).clamp(0, 1)
            fooled = oracle(proposals, rows[left])
            moved[left[fooled]] = proposals[fooled]
            left = left[~fooled]
        return moved


def _normalised(images: Tensor) -> Tensor:
    return images / images.square().sum(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)
