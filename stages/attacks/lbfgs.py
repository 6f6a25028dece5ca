"""Box-constrained L-BFGS (Szegedy et al. 2014)."""

from typing import Annotated, Any, ClassVar

import foolbox
import numpy as np
import numpy.typing as npt
import torch
from foolbox import PyTorchModel, TargetedMisclassification
from foolbox.attacks.base import MinimizationAttack
from foolbox.distances import l2
from pydantic import Field
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from stages.attacks import Clips, Knowledge, Norm, Tried
from stages.attacks._minimum_norm import MinimumNorm
from stages.params import Count, Number

GROWTH = 10.0
"""Of the constant until the victim is fooled, as in C&W's attack."""


class LBFGS(MinimumNorm):
    """Minimises the squared L2 norm plus a constant times the target's cross-entropy, the constant by line search."""

    norm: ClassVar[Norm] = "l2"
    knowledge: ClassVar[Knowledge] = "white box"
    paper = "Szegedy et al.: Intriguing Properties of Neural Networks, ICLR 2014"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    line_search_steps: Annotated[Count, Field(ge=1, le=50)]
    initial_const: Annotated[Number, Field(gt=0)]

    def examples(self, model: foolbox.PyTorchModel, clips: Clips) -> Tried:
        """The nearest minimiser that the model takes for its target; the clean clips where there is none."""
        attack = LBFGSAttack(
            steps=self.steps, line_search_steps=self.line_search_steps, initial_const=self.initial_const
        )
        examples = attack.run(model, clips.images, TargetedMisclassification(clips.targets))
        return Tried(examples, attack.passes)


class LBFGSAttack(MinimizationAttack):
    """In L2, clip by clip: the curvature that L-BFGS learns is a clip's own, and so is its line search."""

    distance = l2

    def __init__(self, *, steps: int, line_search_steps: int, initial_const: float) -> None:
        """Set the parameters.

        Args:
            steps: most passes of one minimisation.
            line_search_steps: values of the constant that are tried.
            initial_const: the first.
        """
        self.steps, self.line_search_steps, self.initial_const = steps, line_search_steps, initial_const
        self.passes = torch.zeros(0, dtype=torch.int64)

    def run(  # type: ignore[override]
        self,
        model: PyTorchModel,
        inputs: Tensor,
        criterion: TargetedMisclassification,
        *,
        early_stop: float | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """The perturbed images; the passes that each took are left in `passes`, shape (batch,)."""
        targets: Tensor = criterion.target_classes.raw
        self.passes = torch.zeros(len(inputs), dtype=torch.int64)
        return torch.stack([self._one(model, inputs[row], targets[row], row) for row in range(len(inputs))])

    def _one(self, model: PyTorchModel, image: Tensor, target: Tensor, row: int) -> Tensor:
        """The example of the smallest constant that fools, between growth and bisection."""
        const, low, high, best = self.initial_const, 0.0, np.inf, image
        for _ in range(self.line_search_steps):
            found = self._minimiser(model, image, target, const, row)
            self.passes[row] += 1
            if bool(model(found[None]).argmax(1) == target):
                high, best = const, found
            else:
                low = const
            const = (low + high) / 2 if np.isfinite(high) else const * GROWTH
        return best

    def _minimiser(self, model: PyTorchModel, image: Tensor, target: Tensor, const: float, row: int) -> Tensor:
        """Of the squared norm plus `const` times the cross-entropy, within [0, 1]; shape of the image."""

        def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            self.passes[row] += 1
            leaf = torch.from_numpy(flat).reshape(image.shape).to(image).requires_grad_()
            distance = (leaf - image).square().sum()
            value = distance + const * functional.cross_entropy(model(leaf[None]), target[None])
            (gradient,) = torch.autograd.grad(value, leaf)
            return float(value.detach()), gradient.flatten().cpu().numpy().astype(np.float64)

        start = image.flatten().cpu().numpy().astype(np.float64)
        limits = [(0.0, 1.0)] * len(start)
        solved = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits, options={"maxfun": self.steps})
        return torch.from_numpy(solved.x).reshape(image.shape).to(image)
