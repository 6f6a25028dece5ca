"""Box-constrained L-BFGS (Szegedy et al. 2014)."""

from typing import Annotated, ClassVar

import foolbox
import numpy as np
import numpy.typing as npt
import torch
from foolbox import PyTorchModel
from foolbox.distances import l2
from pydantic import Field
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from stages.attacks.base import Access
from stages.attacks.base.inputs import AttackInputs
from stages.attacks.base.minimum_norm import MinimumNorm
from stages.attacks.base.results import Candidates
from stages.attacks.base.targeted import TargetedAttack
from stages.core.params import Count, Number
from stages.stores.perturbations import Norm

GROWTH = 10.0
"""Growth factor of the constant until the victim is fooled, as in C&W's attack."""


class LBFGS(MinimumNorm):
    """The minimisation of the squared L2 norm plus a constant times the target's cross-entropy.

    A line search finds the constant.
    """

    norm: ClassVar[Norm] = "l2"
    access: ClassVar[Access] = "white_box"
    in_float32: ClassVar[bool] = True
    paper = "Szegedy et al.: Intriguing Properties of Neural Networks, ICLR 2014"

    steps: Annotated[Count, Field(ge=1, le=10000)]
    line_search_steps: Annotated[Count, Field(ge=1, le=50)]
    initial_const: Annotated[Number, Field(gt=0)]

    def examples(self, model: foolbox.PyTorchModel, inputs: AttackInputs) -> Candidates:
        """Run `LBFGSAttack` on the clips."""
        attack = LBFGSAttack(
            steps=self.steps, line_search_steps=self.line_search_steps, initial_const=self.initial_const
        )
        return attack.attempt(model, inputs.clean, inputs.targets)


class LBFGSAttack(TargetedAttack):
    """L-BFGS in L2, clip by clip: the curvature that it learns is a clip's own, and so is its line search."""

    distance = l2

    def __init__(self, *, steps: int, line_search_steps: int, initial_const: float) -> None:
        """Set the parameters.

        Args:
            steps: queries after which one minimisation takes no further step; its last line search is finished.
            line_search_steps: values of the constant that are tried.
            initial_const: first value of the constant.
        """
        self.steps, self.line_search_steps, self.initial_const = steps, line_search_steps, initial_const

    def attempt(self, model: PyTorchModel, images: Tensor, targets: Tensor) -> Candidates:
        """Find the nearest minimisers that the model takes for their targets; the images where there are none."""
        found = [self._one(model, image, target) for image, target in zip(images, targets, strict=True)]
        return Candidates(
            torch.stack([example for example, _ in found]), torch.tensor([queries for _, queries in found])
        )

    def _one(self, model: PyTorchModel, image: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """Find the smallest constant that fools, by growth and bisection; return its example and the queries taken."""
        const, low, high, best, queries = self.initial_const, 0.0, np.inf, image, 0
        for _ in range(self.line_search_steps):
            found, evaluations = self._minimiser(model, image, target, const)
            queries += evaluations + 1
            if bool(model(found[None]).argmax(1) == target):
                high, best = const, found
            else:
                low = const
            const = (low + high) / 2 if np.isfinite(high) else const * GROWTH
        return best, queries

    def _minimiser(self, model: PyTorchModel, image: Tensor, target: Tensor, const: float) -> tuple[Tensor, int]:
        """Minimise the squared norm plus `const` times the cross-entropy, within [0, 1]; count the queries."""

        def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            leaf = torch.from_numpy(flat).reshape(image.shape).to(image).requires_grad_()
            distance = (leaf - image).square().sum()
            value = distance + const * functional.cross_entropy(model(leaf[None]), target[None])
            (gradient,) = torch.autograd.grad(value, leaf)
            return float(value.detach()), gradient.flatten().cpu().numpy().astype(np.float64)

        start = image.flatten().cpu().numpy().astype(np.float64)
        limits = [(0.0, 1.0)] * len(start)
        solved = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits, options={"maxfun": self.steps})
        return torch.from_numpy(solved.x).reshape(image.shape).to(image), solved.nfev
